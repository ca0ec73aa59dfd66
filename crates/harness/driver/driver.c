/* The driver of the sandbox: what a start script of an image finds at /opt/aiware/engine. It starts the program that follows it in its own place,
   with the environment a driver passes on, and is gone. The harness calls the hooks itself, from inside the same network.

   No library: the image it is put into may have none. */

#if defined(__x86_64__)
enum { SYS_write = 1, SYS_execve = 59, SYS_exit = 60 };
__asm__(".globl _start\n_start:\n xor %rbp, %rbp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum { SYS_write = 64, SYS_execve = 221, SYS_exit = 93 };
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl begin\n");
static long call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#endif

enum { LONGEST_PATH = 4096 };

static unsigned long length(const char *text) {
    unsigned long n = 0;
    while (text[n]) n++;
    return n;
}

static int begins(const char *text, const char *with) {
    while (*with) if (*text++ != *with++) return 0;
    return 1;
}

/* The value of a variable, or nothing. */
static const char *value(char **env, const char *name) {
    for (; *env; env++)
        if (begins(*env, name) && (*env)[length(name)] == '=') return *env + length(name) + 1;
    return 0;
}

/* Whether a variable's name stands in a list of names with commas, semicolons or spaces between them. */
static int listed(const char *variable, const char *list) {
    unsigned long n = 0;
    while (variable[n] && variable[n] != '=') n++;
    while (list && *list) {
        unsigned long m = 0;
        while (list[m] && list[m] != ',' && list[m] != ';' && list[m] != ' ') m++;
        unsigned long same = 0;
        while (same < n && same < m && variable[same] == list[same]) same++;
        if (same == n && same == m && n > 0) return 1;
        list += m;
        if (*list) list++;
    }
    return 0;
}

static void say(const char *text) {
    call(SYS_write, 2, (long)text, (long)length(text));
}

static void start(const char *path, char **arguments, char **env) {
    call(SYS_execve, (long)path, (long)arguments, (long)env);
}

/* As shells look for programs. */
static void search(char **arguments, char **env) {
    char path[LONGEST_PATH];
    const char *places = value(env, "PATH");
    unsigned long name = length(arguments[0]);
    if (!places) places = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    while (*places) {
        unsigned long n = 0;
        while (places[n] && places[n] != ':') n++;
        if (n + name + 2 < LONGEST_PATH) {
            unsigned long at = 0;
            for (; at < n; at++) path[at] = places[at];
            path[at++] = '/';
            for (unsigned long i = 0; i <= name; i++) path[at + i] = arguments[0][i];
            start(path, arguments, env);
        }
        places += n;
        if (*places) places++;
    }
}

__attribute__((used, noreturn)) void begin(long *stack) {
    long count = stack[0];
    char **arguments = (char **)(stack + 1), **env = arguments + count + 1;
    if (count < 2) {
        say("the driver starts the program that follows it, and none does\n");
        call(SYS_exit, 2, 0, 0);
    }
    const char *list = value(env, "AIWARE_ENV_WHITE_LIST");
    char **kept = env;
    for (char **next = env; *next; next++)
        if (!begins(*next, "AIWARE_") || begins(*next, "AIWARE_CONTROLLER=") || listed(*next, list)) *kept++ = *next;
    *kept = 0;
    arguments++;
    int has_slash = 0;
    for (const char *c = arguments[0]; *c; c++) has_slash |= *c == '/';
    if (has_slash) start(arguments[0], arguments, env);
    else search(arguments, env);
    say("the driver cannot start ");
    say(arguments[0]);
    say("\n");
    call(SYS_exit, 127, 0, 0);
    for (;;) {}
}
