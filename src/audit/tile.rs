//! The ledger as static resources (C2SP tlog-tiles): where a tile is, how wide, and how entries stand in a bundle.

use std::{fmt, str::FromStr};

use super::{Frontier, node_hash, proof::Node};

/// Hashes or entries of a full tile.
pub const WIDTH: u64 = 256;
/// Levels of the tree that one tile spans.
pub const HEIGHT: u8 = 8;
/// Bytes of an entry that a bundle can hold.
pub const MOST_ENTRY_BYTES: usize = 0xFFFF;
/// Levels on which a tree of 2⁶⁴ entries has tiles.
const LEVELS: u8 = 8;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Entries.
    Entries,
    /// Roots of whole subtrees of 256^level entries.
    Hashes(u8),
}

/// A resource of the log, named as its path below `tile/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// What it holds.
    pub level: Level,
    /// Its number on its level, from the left.
    pub index: u64,
    /// How many hashes or entries: [`WIDTH`], or less at the right edge.
    pub width: u64,
}

/// A path is not that of a tile, or bytes are not a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTile(&'static str);

impl Tile {
    /// The number of its first hash or entry.
    pub const fn start(&self) -> u64 {
        self.index.saturating_mul(WIDTH)
    }

    /// Whether it will not change any more.
    pub const fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// Whether a tree of `size` entries has it.
    pub fn is_in(&self, size: u64) -> bool {
        self.index
            .checked_mul(WIDTH)
            .and_then(|start| start.checked_add(self.width))
            .is_some_and(|end| end <= count(self.level, size))
    }

    /// All tiles of a level in a tree of `size` entries, the first `from` left out.
    pub fn of(level: Level, size: u64, from: u64) -> impl Iterator<Item = Self> {
        let count = count(level, size);
        let full = (from..count / WIDTH).map(move |index| Self { level, index, width: WIDTH });
        let rest = Self { level, index: count / WIDTH, width: count % WIDTH };
        full.chain((rest.width > 0).then_some(rest))
    }

    /// The levels of hashes in a tree of `size` entries.
    pub fn levels(size: u64) -> impl Iterator<Item = Level> {
        (0..LEVELS).map(Level::Hashes).take_while(move |level| count(*level, size) > 0)
    }
}

/// How many hashes or entries there are on a level.
fn count(level: Level, size: u64) -> u64 {
    match level {
        Level::Entries => size,
        Level::Hashes(level) => size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0),
    }
}

/// A tree that grows, and gives each tile when it is full.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    size: u64,
    /// What the last tile of each level holds so far.
    edge: [Vec<[u8; 32]>; LEVELS as usize],
}

impl Builder {
    /// A tree of `size` entries, from the tiles at its right edge.
    ///
    /// # Errors
    /// Those of `read`; [`InvalidTile`] when a tile has not its width.
    pub fn resume<E: From<InvalidTile>>(size: u64, mut read: impl FnMut(Tile) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let mut builder = Self { size, ..Self::default() };
        for (level, edge) in (0..LEVELS).zip(&mut builder.edge) {
            let level = Level::Hashes(level);
            let Some(tile) = Tile::of(level, size, count(level, size) / WIDTH).next() else { continue };
            *edge = hashes(&read(tile)?)?.to_vec();
            if edge.len() as u64 != tile.width {
                return Err(InvalidTile("a tile has not as many hashes as its name says").into());
            }
        }
        Ok(builder)
    }

    /// The number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next leaf's hash and shows the tiles that are full with it, from the leaf up.
    ///
    /// # Errors
    /// Those of `full`.
    pub fn push<E>(&mut self, leaf: [u8; 32], mut full: impl FnMut(Tile, &[[u8; 32]]) -> Result<(), E>) -> Result<(), E> {
        let (mut hash, mut index) = (leaf, self.size);
        self.size += 1;
        for (level, edge) in (0..).zip(&mut self.edge) {
            edge.push(hash);
            if edge.len() as u64 != WIDTH {
                break;
            }
            index /= WIDTH;
            full(Tile { level: Level::Hashes(level), index, width: WIDTH }, edge)?;
            hash = whole(std::mem::take(edge)).unwrap_or_default();
        }
        Ok(())
    }

    /// Shows the tiles at the right edge that are not full.
    ///
    /// # Errors
    /// Those of `partial`.
    pub fn edge<E>(&self, mut partial: impl FnMut(Tile, &[[u8; 32]]) -> Result<(), E>) -> Result<(), E> {
        for (level, edge) in (0..).zip(&self.edge).filter(|(_, edge)| !edge.is_empty()) {
            let level = Level::Hashes(level);
            partial(Tile { level, index: count(level, self.size) / WIDTH, width: edge.len() as u64 }, edge)?;
        }
        Ok(())
    }

    /// The tree's root.
    pub fn root(&self) -> [u8; 32] {
        let mut root = None;
        for edge in &self.edge {
            let mut rest = edge.as_slice();
            // The smallest subtrees are on the right.
            while !rest.is_empty() {
                let (before, subtree) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
                let left = whole(subtree.to_vec()).unwrap_or_default();
                root = Some(root.map_or(left, |right| node_hash(&left, &right)));
                rest = before;
            }
        }
        root.unwrap_or_else(|| Frontier::default().root())
    }
}

/// The root above neighbours, whose number is a power of two; `None` above nothing.
pub fn whole(mut hashes: Vec<[u8; 32]>) -> Option<[u8; 32]> {
    while hashes.len() > 1 {
        hashes = hashes.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    hashes.pop()
}

/// Where the hashes are from which a node is computed: the level, the number of the first and how many. They are in one tile.
pub const fn beneath(node: Node) -> (u8, u64, usize) {
    let between = node.height % HEIGHT;
    (node.height / HEIGHT, node.index << between, 1 << between)
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => f.write_str("entries")?,
            Level::Hashes(level) => level.fmt(f)?,
        }
        let digits = self.index.to_string();
        let padded = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        let last = padded.len() - 3;
        for at in (0..last).step_by(3) {
            write!(f, "/x{}", &padded[at..at + 3])?;
        }
        write!(f, "/{}", &padded[last..])?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = InvalidTile;

    fn from_str(path: &str) -> Result<Self, InvalidTile> {
        let wrong = InvalidTile("not the path of a tile: `tile/<level>/<number>[.p/<width>]`, a number as `x001/x234/067`");
        let (level, rest) = path.split_once('/').ok_or(wrong)?;
        let level = match level {
            "entries" => Level::Entries,
            level => Level::Hashes(level.parse().map_err(|_| wrong)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().map_err(|_| wrong)?),
            None => (rest, WIDTH),
        };
        let digits: String = number.split('/').map(|part| part.strip_prefix('x').unwrap_or(part)).collect();
        let tile = Self { level, index: digits.parse().map_err(|_| wrong)?, width };
        // There is one way to write each.
        if (1..=WIDTH).contains(&width) && tile.to_string() == path { Ok(tile) } else { Err(wrong) }
    }
}

/// Entries as a bundle: each behind its length, of two bytes.
///
/// # Errors
/// When an entry is longer than that.
pub fn bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, InvalidTile> {
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| entry.as_ref().len() + 2).sum());
    for entry in entries {
        let length = u16::try_from(entry.as_ref().len()).map_err(|_| InvalidTile("an entry is longer than a bundle can hold"))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry.as_ref());
    }
    Ok(bytes)
}

/// The entries of a bundle.
///
/// # Errors
/// When it ends within one.
pub fn unbundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, InvalidTile> {
    let cut = InvalidTile("the bundle ends within an entry");
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(cut)?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(cut)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// The hashes of a tile.
///
/// # Errors
/// When it ends within one.
pub fn hashes(bytes: &[u8]) -> Result<&[[u8; 32]], InvalidTile> {
    match bytes.as_chunks() {
        (hashes, []) => Ok(hashes),
        _ => Err(InvalidTile("the tile ends within a hash")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(level: Level, index: u64, width: u64) -> String {
        Tile { level, index, width }.to_string()
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(path(Level::Hashes(0), 1_234_067, 256), "0/x001/x234/067");
        assert_eq!(path(Level::Hashes(3), 0, 256), "3/000");
        assert_eq!(path(Level::Entries, 999, 112), "entries/999.p/112");
        assert_eq!(path(Level::Entries, 1000, 1), "entries/x001/000.p/1");
        for wrong in [
            "",
            "0",
            "0/",
            "0/1",
            "0/0001",
            "0/x000/001",
            "00/001",
            "+0/001",
            "0/001.p/0",
            "0/001.p/256",
            "0/001.p/01",
            "0/001.p/257",
            "0/001.p/",
            "0/x001",
            "0/001/002",
            "entries/001/",
            "data/001",
            "0/x001/x234/067/..",
            "0/18446744073709551616",
            "256/000",
        ] {
            assert!(wrong.parse::<Tile>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_tree_of_the_specification_has_its_tiles() {
        let of = |size: u64| -> Vec<(usize, u64)> {
            let tiles = |level| {
                Tile::of(level, size, 0).fold((0, 0), |(full, rest), tile| match tile.is_full() {
                    true => (full + 1, rest),
                    false => (full, tile.width),
                })
            };
            Tile::levels(size).map(tiles).collect()
        };
        assert_eq!(of(70_000), [(273, 112), (1, 17), (0, 1)]);
        assert_eq!(of(256), [(1, 0), (0, 1)]);
        assert_eq!(of(0), []);
        assert!(Tile { level: Level::Hashes(1), index: 0, width: 1 }.is_in(256));
        assert!(!Tile { level: Level::Hashes(1), index: 0, width: 1 }.is_in(255));
        assert!(!Tile { level: Level::Entries, index: u64::MAX, width: 256 }.is_in(u64::MAX));
        assert!(!Tile { level: Level::Hashes(63), index: 0, width: 1 }.is_in(u64::MAX));
    }

    #[test]
    fn a_tree_grows_by_tiles_and_goes_on_from_its_right_edge() {
        let mut files = std::collections::HashMap::new();
        let (mut builder, mut frontier) = (Builder::default(), Frontier::default());
        for seq in 0..66_000u64 {
            assert!(!seq.is_multiple_of(1009) || builder.root() == frontier.root());
            let leaf = crate::digest::sha256(&seq.to_be_bytes());
            let mut keep = |tile: Tile, hashes: &[[u8; 32]]| -> Result<(), InvalidTile> {
                files.insert(tile, hashes.concat());
                Ok(())
            };
            builder.push(leaf, &mut keep).unwrap();
            frontier.push_hash(leaf, |_, _| {});
            if seq.is_multiple_of(7001) {
                builder.edge(&mut keep).unwrap();
                builder = Builder::resume(builder.size(), |tile| files.get(&tile).cloned().ok_or(InvalidTile("gone"))).unwrap();
            }
        }
        builder.edge(|tile, hashes| files.insert(tile, hashes.concat()).map_or(Ok(()), |_| Err(tile))).unwrap();
        assert_eq!(builder.root(), frontier.root());
        let wanted = Tile::levels(66_000).flat_map(|level| Tile::of(level, 66_000, 0));
        assert!(wanted.into_iter().all(|tile| files.get(&tile).is_some_and(|bytes| bytes.len() as u64 == tile.width * 32)));
    }

    proptest! {
        #[test]
        fn paths_and_bundles_are_read_as_written(level in 0..64u8, index: u64, width in 1..=256u64, entries: Vec<Vec<u8>>) {
            for level in [Level::Entries, Level::Hashes(level)] {
                let tile = Tile { level, index, width };
                prop_assert_eq!(tile.to_string().parse::<Tile>(), Ok(tile));
            }
            let bundle = bundle(&entries).unwrap();
            prop_assert_eq!(unbundle(&bundle).unwrap(), entries);
            if !bundle.is_empty() {
                prop_assert!(unbundle(&bundle[..bundle.len() - 1]).is_err());
            }
        }

        #[test]
        fn nothing_that_is_read_ends_the_program(path: String, bytes: Vec<u8>) {
            let _ = path.parse::<Tile>();
            let _ = unbundle(&bytes);
        }
    }
}
