//! The same filter in the words of the OCI runtime specification, for runtimes that install it themselves.
//!
//! libseccomp, which they use, compares all 64 bits of an argument, and an answer without conditions outweighs all those with. So what depends on an
//! argument is said completely, the allowed cases and the refused ones, each by the 32 bits the kernel looks at.

use libc::*;
use serde_json::{Value, json};

use super::{table, watched};

/// Calls that are allowed or refused by what is asked for.
const BY_ARGUMENT: [i64; 5] = [SYS_clone, SYS_ioctl, SYS_personality, SYS_socket, SYS_socketpair];

fn is_by_argument(call: i64) -> bool {
    BY_ARGUMENT.contains(&call) || watched::NODES.iter().any(|(node, _)| *node == call)
}

/// `linux.seccomp` of a run. What is in no list is answered "not implemented".
pub(crate) fn profile() -> Value {
    let mut rules = vec![
        rule(None, table::allowed().filter(|call| !is_by_argument(*call)), &[]),
        rule(Some(EPERM), table::refused().chain(watched::outright()).filter(|call| *call != SYS_io_uring_setup), &[]),
    ];
    rules.extend(cases().into_iter().map(|case| rule(case.errno, [case.call].into_iter(), &case.conditions)));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": [format!("SCMP_ARCH_{}", std::env::consts::ARCH.to_uppercase())],
        "syscalls": rules,
    })
}

/// One answer to one call with such arguments.
struct Case {
    call: i64,
    /// `None`: allowed.
    errno: Option<i32>,
    /// All must hold.
    conditions: Vec<Condition>,
}

/// These bits of an argument have this value.
#[derive(Clone, Copy)]
struct Condition {
    argument: u32,
    mask: u32,
    value: u32,
}

fn rule(errno: Option<i32>, calls: impl Iterator<Item = i64>, conditions: &[Condition]) -> Value {
    let names: Vec<&str> = calls.filter_map(|call| table::name_of(call).or_else(|| watched::name_of(call))).collect();
    let args: Vec<Value> = conditions
        .iter()
        .map(|Condition { argument, mask, value }| json!({ "index": argument, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ" }))
        .collect();
    match errno {
        None => json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args }),
        Some(errno) => json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": args }),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |call, errno, conditions: Vec<Condition>| cases.push(Case { call, errno, conditions });
    let is = |argument, value| Condition { argument, mask: u32::MAX, value };
    let has = |argument, bits| Condition { argument, mask: bits, value: bits };
    let other_than = |argument, values: &[u32]| {
        outside(values).into_iter().map(move |(mask, value)| Condition { argument, mask, value }).collect::<Vec<_>>()
    };
    let flags = watched::namespace_flags();
    add(SYS_clone, None, vec![Condition { argument: 0, mask: flags.clone().fold(0, |all, flag| all | flag), value: 0 }]);
    flags.for_each(|flag| add(SYS_clone, Some(EPERM), vec![has(0, flag)]));
    for (call, argument, values, listed, others) in
        [(SYS_ioctl, 1, &watched::TERMINALS[..], Some(EPERM), None), (SYS_personality, 0, &table::PERSONALITIES[..], None, Some(EPERM))]
    {
        values.iter().for_each(|value| add(call, listed, vec![is(argument, *value)]));
        other_than(argument, values).into_iter().for_each(|other| add(call, others, vec![other]));
    }
    for (call, argument) in watched::NODES {
        // All values of the bits that say what kind of file is wanted.
        for kind in (0..=S_IFMT >> 12).map(|kind| kind << 12) {
            let refused = watched::DEVICES.contains(&kind).then_some(EPERM);
            add(*call, refused, vec![Condition { argument: u32::from(*argument), mask: S_IFMT, value: kind }]);
        }
    }
    let [netlink, route] = [AF_NETLINK as u32, NETLINK_ROUTE as u32];
    let plain = [AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6].map(|family| family as u32);
    for call in [SYS_socket, SYS_socketpair] {
        plain.iter().for_each(|family| add(call, None, vec![is(0, *family)]));
        add(call, None, vec![is(0, netlink), is(2, route)]);
        other_than(2, &[route]).into_iter().for_each(|other| add(call, Some(EAFNOSUPPORT), vec![is(0, netlink), other]));
        let known: Vec<u32> = plain.into_iter().chain([netlink]).collect();
        other_than(0, &known).into_iter().for_each(|other| add(call, Some(EAFNOSUPPORT), vec![other]));
    }
    cases
}

/// Everything but these values, as bits that have a value: no two overlap, together they are all the rest.
fn outside(values: &[u32]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    split(values.to_vec(), 32, 0, &mut found);
    found
}

/// What is left of the numbers that agree with `prefix` above the lowest `bits` bits.
fn split(values: Vec<u32>, bits: u32, prefix: u32, found: &mut Vec<(u32, u32)>) {
    if values.is_empty() {
        found.push((u32::MAX.checked_shl(bits).unwrap_or(0), prefix));
    } else if let Some(lower) = bits.checked_sub(1) {
        let bit = 1 << lower;
        let (ones, zeroes): (Vec<u32>, Vec<u32>) = values.into_iter().partition(|value| value & bit != 0);
        split(zeroes, lower, prefix, found);
        split(ones, lower, prefix | bit, found);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seccompiler::SeccompCmpOp;

    use super::*;
    use crate::seccomp::Refusals;

    /// The answers a call gets here, each once; there must be exactly one.
    fn answers(call: i64, args: &[u32; 6]) -> Vec<Option<i32>> {
        let holds = |condition: &Condition| args[condition.argument as usize] & condition.mask == condition.value;
        let holding = cases().into_iter().filter(|case| case.call == call && case.conditions.iter().all(holds));
        let mut answers: Vec<_> = holding.map(|case| case.errno).collect();
        answers.dedup();
        answers
    }

    /// The answer of the filter of our own.
    fn own_answer(call: i64, args: &[u32; 6]) -> Option<i32> {
        let holds = |(argument, op, value): &(u8, SeccompCmpOp, u64)| {
            let (seen, value) = (args[usize::from(*argument)], *value as u32);
            match op {
                SeccompCmpOp::Eq => seen == value,
                SeccompCmpOp::Ne => seen != value,
                SeccompCmpOp::Ge => seen >= value,
                SeccompCmpOp::Le => seen <= value,
                SeccompCmpOp::MaskedEq(mask) => seen & *mask as u32 == value,
                other => panic!("{other:?}"),
            }
        };
        let refuses = |refusals: &Refusals| {
            refusals.iter().any(|(refused, cases)| *refused == call && cases.iter().any(|case| case.iter().all(holds)))
        };
        let told = watched::told().into_iter().find(|(_, refusals)| refuses(refusals)).map(|(errno, _)| errno);
        told.or_else(|| refuses(&table::not_permitted()).then_some(EPERM))
    }

    fn by_argument() -> Vec<i64> {
        BY_ARGUMENT.into_iter().chain(watched::NODES.iter().map(|(call, _)| *call)).collect()
    }

    proptest! {
        #[test]
        fn both_filters_answer_alike(call in prop::sample::select(by_argument()), near in prop::sample::select(vec![0, 1, 2, 8, 10, 16, 40, 0x2000, 0x5412, 0x61a4, 0x541c, 0x2_0008, 0x1000_0000]), off in 0..4_u32, third in 0..3_u32, any in any::<[u32; 6]>()) {
            let near = [near + off, near + off, third, 0, 0, 0];
            let mode = [0, 0, near[0], 0, 0, 0];
            for args in [near, mode, any] {
                prop_assert_eq!(answers(call, &args), vec![own_answer(call, &args)], "{:?} of {}", args, call);
            }
        }
    }

    #[test]
    fn every_call_has_a_name() {
        for call in table::allowed().chain(table::refused()).chain(watched::outright()) {
            assert!(table::name_of(call).or_else(|| watched::name_of(call)).is_some(), "call {call}");
        }
        let profile = profile().to_string();
        assert!(profile.contains("\"epoll_pwait2\"") && profile.contains("\"mount\"") && !profile.contains("io_uring"), "{profile}");
    }

    #[test]
    fn the_rest_of_all_numbers() {
        assert_eq!(outside(&[]), [(0, 0)]);
        let rest = outside(&[0x5412, 0x541c]);
        for (number, inside) in [(0x5412, false), (0x541c, false), (0x5413, true), (0, true), (u32::MAX, true), (0x1_5412, true)] {
            let hits = rest.iter().filter(|(mask, value)| number & mask == *value).count();
            assert_eq!(hits, usize::from(inside), "{number:x}");
        }
    }
}
