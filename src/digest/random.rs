//! Randomness from the operating system.

use std::{thread, time::Duration};

use ring::rand::{SecureRandom, SystemRandom};

/// `N` bytes from the operating system's generator.
///
/// Does not fail: where the system cannot give randomness (an early boot, a sandbox without `getrandom`), this waits and asks
/// again, because every alternative – an error path that someone ignores, a weaker source – is worse than standing still.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    while SystemRandom::new().fill(&mut bytes).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_repeat() {
        assert_ne!(random::<16>(), random::<16>());
    }
}
