//! A checksum of a tree, whatever order its files are visited in.

/// The checksum of one file's content, taken piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Content(u64);

impl Content {
    pub const EMPTY: Content = Content(0x6a09_e667_f3bc_c908);

    /// Takes the next piece. Pieces must be cut alike wherever a checksum is to be the same.
    #[must_use]
    pub fn then(self, piece: &[u8]) -> Content {
        let (words, rest) = piece.as_chunks::<8>();
        let mut state =
            words.iter().fold(self.0, |state, &word| mix(state, u64::from_le_bytes(word)));
        for &byte in rest {
            state = mix(state, byte.into());
        }
        Content(mix(state, piece.len() as u64))
    }
}

/// The checksum of a tree.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tree(u64);

impl Tree {
    /// Adds a file, known by its path below the root.
    pub fn add(&mut self, path: &[u8], content: Content) {
        self.0 = self.0.wrapping_add(content.then(path).0);
    }
}

impl std::fmt::Display for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15;
    (product as u64 ^ (product >> 64) as u64).rotate_left(29).wrapping_add(word)
}
