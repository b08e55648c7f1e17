//! Exit codes, in one place: scripts branch on them, and the journal keeps them.

use super::error::Failure;
use crate::model::OutcomeSummary;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 1: an error; wrong flags included.
    Error,
    /// 2: there are differences, for `plan --detailed-exitcode` and `drift`.
    Differences,
    /// 3: applied what could be, something is left.
    Left,
    /// 4: refused before the first write.
    Refused,
    /// 130: a second interrupt ended the program on the spot, as a shell reports it.
    Interrupted,
}

impl Exit {
    /// Of a command that failed.
    pub(crate) fn of(failure: &Failure) -> Self {
        if failure.is_refusal { Self::Refused } else { Self::Error }
    }

    /// Of a run that carried a plan out.
    pub(crate) fn of_run(summary: OutcomeSummary) -> Self {
        if summary.is_complete() { Self::Done } else { Self::Left }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Differences => 2,
            Self::Left => 3,
            Self::Refused => 4,
            Self::Interrupted => 130,
        }
    }
}
