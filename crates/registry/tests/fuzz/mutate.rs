//! Makes inputs of a corpus: bytes changed, pieces cut, doubled, moved, taken from elsewhere, and words that parsers stumble over.

/// Longest input made.
const LONGEST: usize = 16 << 10;

/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"/",
    b"//",
    b"..",
    b"%",
    b"%2F",
    b"%2f",
    b"%00",
    b"%ff",
    b"%zz",
    b":",
    b"::",
    b"@",
    b"?",
    b"&",
    b"=",
    b"+",
    b"-",
    b"--",
    b"_",
    b",",
    b"0",
    b"-1",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999",
    b"bytes=",
    b"bytes ",
    b"sha256:",
    b"sha512:",
    b"\xff",
    b"\x00",
    "é".as_bytes(),
    "\u{202e}".as_bytes(),
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"null",
    b"true",
    b"1e999",
    b"\\u0000",
    b"blobs/uploads/",
    b"manifests/",
    b"tags/list",
    b"referrers/",
    b"repository:",
    b"registry:catalog:*",
    b"n=",
    b"last=",
    b"artifactType=",
    b"\"subject\":",
    b"\"manifests\":[",
    b"\"layers\":[",
    b"\"config\":",
    b"\"digest\":",
    b"\"annotations\":{",
    b"[[[[[[[[[[[[[[[[",
];

/// Makes one input after the other, the same ones for the same seed.
pub struct Mutator<'c> {
    corpus: &'c [Vec<u8>],
    state: u64,
    input: Vec<u8>,
}

impl<'c> Mutator<'c> {
    /// Begins with a corpus that is not empty.
    pub fn new(corpus: &'c [Vec<u8>], seed: u64) -> Self {
        Self { corpus, state: seed, input: Vec::new() }
    }

    /// A number below `end` (SplitMix64).
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    fn span(&mut self) -> std::ops::Range<usize> {
        let start = self.below(self.input.len() + 1);
        let len = self.below((self.input.len() - start).min(64) + 1);
        start..start + len
    }

    /// The next input.
    pub fn next(&mut self) -> &[u8] {
        let from = self.below(self.corpus.len());
        self.input.clone_from(&self.corpus[from]);
        for _ in 0..=self.below(4) {
            self.change();
        }
        self.input.truncate(LONGEST);
        &self.input
    }

    fn change(&mut self) {
        let at = self.below(self.input.len() + 1);
        match self.below(7) {
            0 if at < self.input.len() => self.input[at] = self.below(256) as u8,
            1 if at < self.input.len() => self.input[at] ^= 1 << self.below(8),
            2 => {
                let span = self.span();
                self.input.drain(span);
            }
            3 => {
                let span = self.span();
                let piece = self.input[span].to_vec();
                self.input.splice(at..at, piece);
            }
            4 => {
                let other = &self.corpus[self.below(self.corpus.len())];
                let (start, len) = (self.below(other.len() + 1), self.below(64));
                let piece = &other[start..(start + len).min(other.len())];
                self.input.splice(at..at, piece.iter().copied());
            }
            5 => {
                let (word, span) = (WORDS[self.below(WORDS.len())], self.span());
                self.input.splice(span, word.iter().copied());
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                self.input.splice(at..at, word.iter().copied());
            }
        }
    }
}
