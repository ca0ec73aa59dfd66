// Programs that nobody should run, in one file: the first argument says which. Each says what it tried and what came of it, and ends.
// Built by tests/tests/hostile.rs into images of a few hundred kilobytes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void came(const char *what, long answer) {
    printf("tried %s: %s\n", what, answer < 0 ? strerror(errno) : "it WORKED");
    fflush(stdout);
}

// Leaving is no arriving: for what cannot be called a success by itself.
static void said(const char *what, long answer) {
    printf("tried %s: %s\n", what, answer < 0 ? strerror(errno) : "left this process");
}

static void fork_bomb(void) {
    long made = 0;
    for (;; made++) {
        pid_t child = fork();
        if (child == 0) { for (;;) pause(); }
        if (child < 0) break;
    }
    printf("tried fork without end: %s\n", strerror(errno));
}

static void memory_hog(void) {
    for (;;) {
        char *block = malloc(1 << 20);
        if (!block) break;
        memset(block, 1, 1 << 20);
    }
    came("memory without end", -1);
}

static void fill(const char *path) {
    static char block[1 << 20];
    memset(block, 7, sizeof block);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    while (write(file, block, sizeof block) > 0) {}
    came(path, -1);
}

static void many_files(void) {
    char name[64];
    long i;
    mkdir("/many", 0700);
    for (i = 0; i < 300000; i++) {
        snprintf(name, sizeof name, "/many/%ld", i);
        int file = open(name, O_CREAT | O_WRONLY, 0600);
        if (file < 0) break;
        close(file);
    }
    printf("tried 300000 files: %s\n", i < 300000 ? strerror(errno) : "it WORKED");
}

static void log_line(void) {
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 1024; i++)
        if (write(1, block, sizeof block) < 0) break;
    write(1, "\n", 1);
    said("a gigabyte of log in one line", 0);
}

static void daemonise(void) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            signal(SIGHUP, SIG_IGN);
            signal(SIGTERM, SIG_IGN);
            printf("tried to stay behind as a daemon\n");
            fflush(stdout);
            for (;;) pause();
        }
        _exit(0);
    }
    usleep(200000);
}

static void write_to(const char *path, const char *text) {
    int file = open(path, O_WRONLY);
    came(path, file < 0 ? file : write(file, text, strlen(text)));
}

static void sysctl(void) {
    write_to("/proc/sysrq-trigger", "b");
    write_to("/proc/self/oom_score_adj", "-1000");
    write_to("/proc/sys/vm/drop_caches", "3");
    write_to("/proc/sys/kernel/core_pattern", "|/bin/sh");
}

static void look_for(const char *secret) {
    static char text[1 << 20];
    DIR *all = opendir("/proc");
    struct dirent *entry;
    int looked = 0, found = 0;
    while (all && (entry = readdir(all))) {
        char path[600];
        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        int file = open(path, O_RDONLY);
        if (file < 0) continue;
        looked++;
        ssize_t length = read(file, text, sizeof text);
        if (length > 0 && memmem(text, length, secret, strlen(secret))) found++;
        close(file);
    }
    const char *ways[] = {"/proc/1/root/etc/shadow", "/proc/1/cwd/../../../../etc/shadow", "/proc/self/fd/3", "/proc/kcore", "/sys/firmware/dmi"};
    for (int i = 0; i < 5; i++) {
        int file = open(ways[i], O_RDONLY);
        ssize_t length = file < 0 ? -1 : read(file, text, sizeof text);
        if (length == 0) errno = ENODATA;
        came(ways[i], length > 0 ? length : -1);
    }
    printf("tried /proc/*/environ: %d looked at, %s\n", looked, found ? "the secret was FOUND" : "nothing found");
}

static void make_node(void) {
    came("mknod of a disk", mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
}

static void devices(void) {
    const char *nodes[] = {"/dev/vda", "/dev/sda", "/dev/mem", "/dev/kmsg", "/tmp/disk", "/node"};
    for (int i = 0; i < 6; i++) came(nodes[i], open(nodes[i], O_RDONLY));
}

static void connect_to(const char *address, const char *port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
    int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    if (!is_v4) inet_pton(AF_INET6, address, &v6.sin6_addr);
    char what[100];
    snprintf(what, sizeof what, "connect %s port %s", address, port);
    if (is_v4) came(what, connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&v4, sizeof v4));
    else came(what, connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&v6, sizeof v6));
    // And a datagram, which nobody has to accept.
    if (is_v4) said("send", sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (void *)&v4, sizeof v4));
    else said("send", sendto(socket(AF_INET6, SOCK_DGRAM, 0), "x", 1, 0, (void *)&v6, sizeof v6));
}

static void call(const char *name) {
    char attr[128] = {0};
    long answer = -2;
    if (!strcmp(name, "mount")) answer = mount("none", "/tmp", "tmpfs", 0, "");
    if (!strcmp(name, "pivot_root")) answer = syscall(SYS_pivot_root, "/tmp", "/tmp");
    if (!strcmp(name, "ptrace")) answer = ptrace(PTRACE_ATTACH, getppid(), 0, 0);
    if (!strcmp(name, "keyctl")) answer = syscall(SYS_keyctl, 0, -3, 1);
    if (!strcmp(name, "bpf")) answer = syscall(SYS_bpf, 0, attr, sizeof attr);
    if (!strcmp(name, "userfaultfd")) answer = syscall(SYS_userfaultfd, 0);
    if (!strcmp(name, "io_uring")) answer = syscall(SYS_io_uring_setup, 8, attr);
    if (!strcmp(name, "vsock")) answer = socket(40, SOCK_STREAM, 0);
    if (!strcmp(name, "packet")) answer = socket(AF_PACKET, SOCK_RAW, 0);
    if (!strcmp(name, "unshare")) answer = unshare(CLONE_NEWUSER);
    if (!strcmp(name, "setns")) answer = setns(open("/proc/1/ns/net", O_RDONLY), 0);
    came(name, answer);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "", *first = count > 2 ? words[2] : "", *second = count > 3 ? words[3] : "";
    if (!strcmp(what, "fork-bomb")) fork_bomb();
    else if (!strcmp(what, "memory-hog")) memory_hog();
    else if (!strcmp(what, "fill")) { fill("/fill"); fill("/tmp/fill"); }
    else if (!strcmp(what, "many-files")) many_files();
    else if (!strcmp(what, "log-line")) log_line();
    else if (!strcmp(what, "daemonise")) daemonise();
    else if (!strcmp(what, "sysctl")) sysctl();
    else if (!strcmp(what, "environ")) look_for(first);
    else if (!strcmp(what, "mknod")) make_node();
    else if (!strcmp(what, "devices")) devices();
    else if (!strcmp(what, "setuid")) { execl("/su", "/su", "who", (char *)0); came("/su", -1); }
    else if (!strcmp(what, "who")) printf("tried a setuid program: %s\n", geteuid() == 0 ? "it WORKED" : "still an ordinary user");
    else if (!strcmp(what, "nothing")) puts("tried nothing by itself; its image does");
    else if (!strcmp(what, "connect")) connect_to(first, second);
    else call(what);
    return 0;
}
