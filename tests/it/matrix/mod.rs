//! The matrices: every scenario is run once and its requests are recorded; then it is run again for each of these
//! requests, and something happens there. What is to hold afterwards is checked in the world itself.
//!
//! The points come from the recording, so a request that is new is covered without anybody thinking of it. The tests
//! run a part that stays the same from run to run, and `cargo run --example soak` runs all; both are this code.

pub(crate) mod check;
mod declared;
mod external_changes;
pub(crate) mod fault;
mod injector;
pub(crate) mod interrupt;
pub(crate) mod kill;
mod point;
pub(crate) mod random;
mod rng;
pub(crate) mod scenario;
pub(crate) mod stage;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How much of a matrix is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What a test has the time for: of the points that are meant for tests each fifth, or all where they are few.
    Part,
    /// All of it.
    All,
    /// Of all of it each so many.
    Every(usize),
}

impl Extent {
    /// Leaves so much of all that could be tried.
    fn of<P>(self, all: Vec<P>) -> Vec<P> {
        match self {
            Self::Every(step) => {
                // Another share of each, as their lengths go.
                let begin = all.len() % step.max(1);
                all.into_iter().skip(begin).step_by(step.max(1)).collect()
            }
            Self::Part if all.len() >= 10 => Self::Every(5).of(all),
            Self::Part | Self::All => all,
        }
    }
}

/// What came of a matrix.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Times that something was done to the program.
    pub(crate) injected: usize,
    /// Points that a run did not come to: with several requests under way their number can differ.
    pub(crate) missed: usize,
    /// How many were done at once, after one more run, after two, after three; a killed run is never done at once.
    pub(crate) attempts: [usize; 4],
    /// What did not hold, in words.
    pub(crate) violations: Vec<String>,
}

impl Tally {
    /// Of a scenario that fails by itself.
    fn broken(why: String) -> Self {
        Self {
            violations: vec![why],
            ..Self::default()
        }
    }

    /// Adds another.
    pub(crate) fn add(&mut self, other: Self) {
        self.injected += other.injected;
        self.missed += other.missed;
        for (sum, more) in self.attempts.iter_mut().zip(other.attempts) {
            *sum += more;
        }
        self.violations.extend(other.violations);
    }
}

/// Seconds after which a point is worth a word: the program waits where it could go on, or give up.
const SLOW: u64 = 30;

/// How far all matrices are together.
static PROGRESS: Mutex<Progress> = Mutex::new(Progress {
    done: 0,
    all: 0,
    told: None,
});

struct Progress {
    done: usize,
    all: usize,
    told: Option<Instant>,
}

impl Progress {
    /// Tells a person who waits for hours, once a minute.
    fn one_more(&mut self) {
        self.done += 1;
        let told = self.told.get_or_insert_with(Instant::now);
        if told.elapsed().as_secs() >= 60 {
            *told = Instant::now();
            eprintln!("{} of {} tried", self.done, self.all);
        }
    }
}

/// How one point ended: `None` where it was not reached, else at which attempt it converged.
type Verdict = Result<Option<usize>, String>;

/// Tries all points, several at a time.
fn each<P: Sync>(
    points: &[P],
    workers: usize,
    name: impl Fn(&P) -> String + Sync,
    work: impl Fn(&P) -> Verdict + Sync,
) -> Tally {
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    PROGRESS.lock().expect("no worker panics with it").all += points.len();
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let begun = Instant::now();
                    let verdict = work(point);
                    if begun.elapsed().as_secs() >= SLOW {
                        eprintln!("{}: took {} s", name(point), begun.elapsed().as_secs());
                    }
                    PROGRESS.lock().expect("no worker panics with it").one_more();
                    let mut tally = tally.lock().expect("no worker panics with the tally");
                    match verdict {
                        Ok(None) => tally.missed += 1,
                        Ok(Some(attempt)) => {
                            tally.injected += 1;
                            tally.attempts[attempt.min(3)] += 1;
                        }
                        Err(why) => {
                            tally.injected += 1;
                            let violation = format!("{}: {why}", name(point));
                            // At once, for a long run may be ended before its report.
                            eprintln!("{violation}");
                            tally.violations.push(violation);
                        }
                    }
                }
            });
        }
    });
    tally.into_inner().expect("no worker panics with the tally")
}
