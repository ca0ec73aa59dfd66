//! The ids of jobs, tasks, recordings and files, in the forms that clients of the contract know.

use crate::clock;

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `count` random letters and digits, at most 16.
fn letters(count: usize) -> String {
    let pick = |pair: &[u8]| {
        let number = pair.iter().fold(0usize, |number, byte| number * 256 + usize::from(*byte));
        LETTERS.get(number % LETTERS.len()).copied().map_or('0', char::from)
    };
    clock::random::<32>().chunks(2).take(count).map(pick).collect()
}

/// A random number of exactly `digits` digits.
fn number(digits: u32) -> i64 {
    let least = 10i64.pow(digits - 1);
    let random = i64::from_le_bytes(clock::random::<8>()) & i64::MAX;
    least + random % (9 * least)
}

/// Such as `19104428_GvNQ57jXtG`.
pub fn job() -> String {
    format!("{}_{}", number(8), letters(10))
}

/// The id of its job, and some letters.
pub fn task(job: &str) -> String {
    format!("{job}{}", letters(6))
}

/// A decimal number; those that engines make have another length.
pub fn tdo() -> i64 {
    number(10)
}

/// The id of its recording, and some letters.
pub fn asset(tdo: i64) -> String {
    format!("{tdo}_{}", letters(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_forms_and_differ() {
        let job = job();
        let (digits, rest) = job.split_once('_').unwrap();
        assert!(digits.len() == 8 && rest.len() == 10 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{job}");
        assert!(task(&job).strip_prefix(&job).is_some_and(|rest| rest.len() == 6));
        assert_ne!(task(&job), task(&job));
        assert!((0..1_000).all(|_| tdo().to_string().len() == 10));
        assert!(asset(12).starts_with("12_"));
    }
}
