//! Every fuzz target over its committed corpus and over a fixed number of changes to it: a panic that was found once stays found.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{env, fs, path::Path};

#[path = "../fuzz/targets.rs"]
mod targets;

/// Changed inputs a target, unless `DOMICILE_FUZZ_CHANGES` says another number.
const CHANGES: usize = 3000;

#[test]
fn no_input_panics() {
    let changes = env::var("DOMICILE_FUZZ_CHANGES").map_or(CHANGES, |number| number.parse().unwrap());
    for (name, target) in targets::ALL {
        let corpus = corpus(name);
        for input in &corpus {
            target(input);
        }
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for round in 0..changes {
            target(&changed(&corpus[round % corpus.len()], &corpus, &mut numbers));
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let inputs: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!inputs.is_empty(), "the corpus of `{name}` is empty");
    inputs
}

/// The input with one to eight bytes set, removed, doubled or taken from another input.
fn changed(input: &[u8], corpus: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(bytes.len().max(1));
        let end = (at + 1 + numbers.below(24)).min(bytes.len());
        match numbers.below(6) {
            0 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            2 => bytes.truncate(at),
            3 if at < end => drop(bytes.drain(at..end)),
            4 if at < end => bytes.extend_from_within(at..end),
            _ => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len().max(1)).min(other.len());
                let piece = other[from..(from + 32).min(other.len())].to_vec();
                let at = at.min(bytes.len());
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Knuth's linear congruential generator: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
