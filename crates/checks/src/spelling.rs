//! What was probably meant: the nearest of a set of known words.

/// Longest word compared, characters; longer ones have no near miss among ours.
const LONGEST: usize = 64;

/// The known word nearest to `word`, if it is near enough: at most two edits, and at most a third of its length. Letter case does not count
/// as an edit. `None` if `word` is itself known.
pub(crate) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let folded = fold(word)?;
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        if candidate == word {
            return None;
        }
        let Some(other) = fold(candidate) else { continue };
        let edits = edits(&folded, &other);
        let near = edits <= 2 && edits * 3 <= other.len();
        if near && best.is_none_or(|(fewest, _)| edits < fewest) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> Option<Vec<char>> {
    let folded: Vec<char> = word.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    (!folded.is_empty() && folded.len() <= LONGEST).then_some(folded)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn edits(a: &[char], b: &[char]) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX / 4;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["initialConcurrency", "maxConcurrency", "url", "label"];

    #[test]
    fn typing_errors_are_understood() {
        for (word, meant) in [
            ("intialConcurrency", Some("initialConcurrency")),
            ("initialconcurrency", Some("initialConcurrency")),
            ("lable", Some("label")),
            ("labels", Some("label")),
            ("URL", Some("url")),
            ("uri", Some("url")),
            ("vCPU", None),
            ("", None),
            ("label", None),
        ] {
            assert_eq!(nearest(word, KEYS), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(10_000), KEYS), None);
    }

    proptest::proptest! {
        #[test]
        fn edits_are_a_distance(a in "[abc]{0,6}", b in "[abc]{0,6}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            proptest::prop_assert_eq!(edits(&a, &b), edits(&b, &a));
            proptest::prop_assert_eq!(edits(&a, &b) == 0, a == b);
        }
    }
}
