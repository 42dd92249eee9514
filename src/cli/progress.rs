//! A line on the terminal that says how far a long command has come.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::recovery::Progress;

/// How often the line is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);
const WIDTH: u64 = 24;

/// Draws on standard error, when that is a terminal; else one line for each step.
pub(super) struct Bar {
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    step: String,
    total: Option<u64>,
    done: u64,
    began: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    pub(super) fn new() -> Self {
        let state = State { step: String::new(), total: None, done: 0, began: Instant::now(), drawn: None };
        Self { terminal: std::io::stderr().is_terminal(), state: Mutex::new(state) }
    }

    /// Says more of the step that is under way.
    pub(super) fn name(&self, step: String) {
        self.state.lock().step = step;
    }

    /// Ends the line.
    pub(super) fn finish(&self) {
        let state = self.state.lock();
        if self.terminal && state.drawn.is_some() {
            let _ = writeln!(std::io::stderr(), "\r\x1b[K{}", line(&state, state.began.elapsed()));
        }
    }
}

impl Progress for Bar {
    fn begin(&self, step: &str, total: Option<u64>) {
        self.finish();
        let mut state = self.state.lock();
        *state = State { step: step.to_owned(), total, done: 0, began: Instant::now(), drawn: None };
        if !self.terminal {
            let _ = writeln!(std::io::stderr(), "{step}");
        }
    }

    fn advance(&self, done: u64) {
        let mut state = self.state.lock();
        state.done += done;
        if self.terminal && state.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            state.drawn = Some(Instant::now());
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", line(&state, state.began.elapsed()));
        }
    }
}

/// Step, bar, rate and time left.
fn line(state: &State, elapsed: Duration) -> String {
    let State { step, total, done, .. } = state;
    let rate = u64::try_from(u128::from(*done) * 1000 / elapsed.as_millis().max(1)).unwrap_or(u64::MAX);
    let Some(total) = total.filter(|total| *total > 0) else { return format!("{step}: {done}, {rate}/s") };
    let filled = usize::try_from((done * WIDTH / total).min(WIDTH)).unwrap_or_default();
    let bar: String = "█".repeat(filled) + &"░".repeat(WIDTH as usize - filled);
    let left = total.saturating_sub(*done).checked_div(rate).map_or_else(|| "?".to_owned(), |left| format!("{left} s"));
    format!("{step}: {bar} {done}/{total}, {rate}/s, {left} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_rate_and_time_left() {
        let state = |total, done| State { step: "reading".to_owned(), total, done, began: Instant::now(), drawn: None };
        let second = Duration::from_secs(1);
        assert_eq!(line(&state(None, 7), second), "reading: 7, 7/s");
        let half = format!("reading: {}{} 50/100, 50/s, 1 s left", "█".repeat(12), "░".repeat(12));
        assert_eq!(line(&state(Some(100), 50), second), half);
        assert!(line(&state(Some(10), 0), Duration::ZERO).ends_with("0/10, 0/s, ? left"));
    }
}
