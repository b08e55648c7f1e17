//! Counts requests by side, because "minimal" and "gentle" are promises about numbers, which reports and tests show.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Side;

/// Counts every request that leaves, retries included. Shared by all clients of a run.
#[derive(Debug, Default)]
pub struct Counter {
    gitlab: SideCounter,
    factory: SideCounter,
    other: SideCounter,
    sign_ins: AtomicU64,
}

#[derive(Debug, Default)]
struct SideCounter {
    reads: AtomicU64,
    writes: AtomicU64,
    retries: AtomicU64,
}

/// Requests of one side so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that change nothing on the server, whatever their method.
    pub reads: u64,
    /// Requests that may change something.
    pub writes: u64,
    /// How many of both were repetitions of an earlier one.
    pub retries: u64,
}

impl Counter {
    /// What was sent to one side so far.
    pub fn of(&self, side: Side) -> Counts {
        let counter = self.side(side);
        Counts {
            reads: counter.reads.load(Ordering::Relaxed),
            writes: counter.writes.load(Ordering::Relaxed),
            retries: counter.retries.load(Ordering::Relaxed),
        }
    }

    /// Requests to all sides so far.
    pub fn total(&self) -> u64 {
        let sides = [Side::Gitlab, Side::Factory, Side::Other];
        sides
            .map(|side| self.of(side))
            .iter()
            .map(|counts| counts.reads + counts.writes)
            .sum()
    }

    /// Counts a password that is sent to a sign-in page: GitLab writes each into its audit log, and mails the account
    /// where the address is new to it.
    pub(crate) fn add_sign_in(&self) {
        self.sign_ins.fetch_add(1, Ordering::Relaxed);
    }

    /// Sign-ins by password so far, right or wrong.
    pub fn sign_ins(&self) -> u64 {
        self.sign_ins.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, side: Side, write: bool, retry: bool) {
        let counter = self.side(side);
        let kind = if write { &counter.writes } else { &counter.reads };
        kind.fetch_add(1, Ordering::Relaxed);
        if retry {
            counter.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn side(&self, side: Side) -> &SideCounter {
        match side {
            Side::Gitlab => &self.gitlab,
            Side::Factory => &self.factory,
            Side::Other => &self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Counts, Side};

    #[test]
    fn sides_are_counted_apart_and_together() {
        let counter = Counter::default();
        counter.add(Side::Gitlab, false, false);
        counter.add(Side::Gitlab, true, true);
        counter.add(Side::Factory, false, false);
        let gitlab = Counts {
            reads: 1,
            writes: 1,
            retries: 1,
        };
        assert_eq!(counter.of(Side::Gitlab), gitlab);
        assert_eq!(counter.total(), 3);
    }
}
