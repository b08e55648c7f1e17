//! Change windows at the moment of an apply: open, closed until then, or passed over for a reason that the journal
//! keeps.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::error::{Failure, Result};
use crate::model::{ChangeWindow, WindowStatus};

/// That it may be written now.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// When nothing new may begin any more.
    pub(crate) until: Option<Instant>,
    /// The window that is open, in words, where there are windows.
    pub(crate) window: Option<String>,
    /// Why no window was waited for (`--outside-window`).
    pub(crate) reason: Option<String>,
}

/// Whether it may be written at a moment; a closed window is a refusal that says when it opens.
pub(crate) fn check(windows: &[ChangeWindow], outside: Option<&str>, now: Timestamp) -> Result<Gate> {
    let reason = outside.map(str::to_owned);
    match WindowStatus::at(windows, now) {
        WindowStatus::AlwaysOpen => Ok(Gate {
            reason,
            ..Gate::default()
        }),
        WindowStatus::Open { until } => Ok(Gate {
            // Whoever has a reason to write outside of a window need not stop at its end either.
            until: until.filter(|_| reason.is_none()).and_then(|until| instant(until, now)),
            window: windows
                .iter()
                .find(|window| window.is_open(now))
                .map(ToString::to_string),
            reason,
        }),
        WindowStatus::Closed { .. } if reason.is_some() => Ok(Gate {
            reason,
            ..Gate::default()
        }),
        WindowStatus::Closed { opens } => {
            let next = match opens {
                Some(opens) => format!("the next one opens at {}", opens.strftime("%a %Y-%m-%d %H:%M %Z")),
                None => "none opens within the next two weeks".to_owned(),
            };
            Err(
                Failure::refused(format!("no change window is open, so nothing was changed: {next}")).hint(
                    "run it then; for what cannot wait, --outside-window REASON writes the reason into the journal",
                ),
            )
        }
    }
}

/// A moment on the monotonic clock, which no correction of the wall clock moves.
fn instant(until: Timestamp, now: Timestamp) -> Option<Instant> {
    let left = Duration::try_from(until.duration_since(now)).ok()?;
    Instant::now().checked_add(left)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::check;
    use crate::model::{ChangeWindow, Day};

    fn saturday_night() -> [ChangeWindow; 1] {
        [ChangeWindow {
            days: [Day::Sat].into(),
            start: time(22, 0, 0, 0),
            end: time(4, 0, 0, 0),
            time_zone: TimeZone::get("Europe/Berlin").unwrap(),
        }]
    }

    #[test]
    fn an_open_window_has_an_end_and_a_name() {
        let began = Instant::now();
        // 03:00 UTC is 04:00 in Berlin.
        let gate = check(&saturday_night(), None, "2026-11-29T02:59:48Z".parse().unwrap()).unwrap();
        let until = gate.until.unwrap();
        assert!(until >= began + Duration::from_secs(12));
        assert!(until <= Instant::now() + Duration::from_secs(12));
        assert_eq!(gate.window.as_deref(), Some("sat 22:00-04:00 Europe/Berlin"));
        assert_eq!(gate.reason, None);
    }

    #[test]
    fn a_closed_one_refuses_with_the_time_it_opens_or_takes_a_reason() {
        let monday = "2026-11-23T10:00:00Z".parse().unwrap();
        let refused = check(&saturday_night(), None, monday).unwrap_err();
        assert!(refused.is_refusal);
        let said = refused.to_string();
        assert!(said.contains("Sat 2026-11-28 22:00 CET"), "{said}");
        let gate = check(&saturday_night(), Some("outage 17"), monday).unwrap();
        assert_eq!(gate.reason.as_deref(), Some("outage 17"));
        assert!(gate.until.is_none() && gate.window.is_none());
    }
}
