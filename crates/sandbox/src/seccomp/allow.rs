//! The allow-list as a program that is short: numbers of calls lie close together, so it asks for ranges of them. The kernel compiles it for every
//! container and tries it with every number it knows; a question for each call, which seccompiler makes of it, takes longer than all the rest of the filter.

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use seccompiler::{BpfProgram, sock_filter};

/// Where the kernel puts the number of the call and the kind of machine.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;

#[cfg(target_arch = "x86_64")]
const HERE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const HERE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const HERE: Option<u32> = None;

/// Allows these calls and answers all others with an error; a program for another kind of machine is ended. Nothing where this one is not known.
pub(super) fn program(calls: impl Iterator<Item = i64>, otherwise: i32) -> Option<BpfProgram> {
    let errno = libc::SECCOMP_RET_ERRNO | otherwise as u32;
    let load = |from| step(BPF_LD | BPF_W | BPF_ABS, from, 0, 0);
    let answer = |what| step(BPF_RET | BPF_K, what, 0, 0);
    let mut program =
        vec![load(MACHINE), step(BPF_JMP | BPF_JEQ | BPF_K, HERE?, 1, 0), answer(libc::SECCOMP_RET_KILL_PROCESS), load(NUMBER)];
    for (first, last) in ranges(calls) {
        // Below the range, and so between it and the former one: refused. Above it: on to the next.
        program.push(step(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2));
        program.push(step(BPF_JMP | BPF_JGT | BPF_K, last, 2, 0));
        program.push(answer(libc::SECCOMP_RET_ALLOW));
        program.push(answer(errno));
    }
    program.push(answer(errno));
    Some(program)
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Numbers as ranges without gaps, in their order.
fn ranges(calls: impl Iterator<Item = i64>) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = calls.filter_map(|call| u32::try_from(call).ok()).collect();
    numbers.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if number <= last.saturating_add(1) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel would answer.
    fn run(program: &BpfProgram, machine: u32, number: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match u32::from(code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => value = if k == NUMBER { number } else { machine },
                code if code == BPF_JMP | BPF_JEQ | BPF_K => at += jump(value == k),
                code if code == BPF_JMP | BPF_JGE | BPF_K => at += jump(value >= k),
                code if code == BPF_JMP | BPF_JGT | BPF_K => at += jump(value > k),
                code if code == BPF_RET | BPF_K => return k,
                other => panic!("{other:x}"),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_listed_is_allowed_and_nothing_else(calls in prop::collection::btree_set(0..60_i64, 0..40), others in prop::collection::vec(any::<u32>(), 9)) {
            let program = program(calls.iter().copied(), 38).unwrap();
            for number in (0..70).chain(others).chain([u32::MAX, 0x4000_0000, 0x4000_0001]) {
                let listed = calls.contains(&i64::from(number));
                prop_assert_eq!(run(&program, HERE.unwrap(), number), if listed { libc::SECCOMP_RET_ALLOW } else { libc::SECCOMP_RET_ERRNO | 38 });
                prop_assert_eq!(run(&program, 0x4000_0003, number), libc::SECCOMP_RET_KILL_PROCESS);
            }
        }
    }

    #[test]
    fn neighbours_are_one_range() {
        assert_eq!(ranges([5, 3, 4, 9, 9, 11].into_iter()), [(3, 5), (9, 9), (11, 11)]);
    }
}
