//! Change windows: when an apply may write. A window is open whenever the clock on the wall of its time zone reads a
//! time inside it. That one rule settles daylight saving: in the doubled hour a window can be open twice, in the
//! missing hour the part that no clock ever shows is not there.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A recurring window. One whose end is before its start crosses midnight and belongs to the day it starts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeWindow {
    /// Days on which it starts, Monday first.
    pub days: BTreeSet<Day>,
    /// First moment inside.
    pub start: Time,
    /// First moment outside; never equal to the start.
    pub end: Time,
    /// Whose wall clock counts.
    pub time_zone: TimeZone,
}

/// A day of the week.
// Monday first, so that a set of them has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

impl Day {
    /// All of them, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// The name in the configuration.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Whether an apply may write now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowStatus {
    /// No windows are configured.
    AlwaysOpen,
    /// Open.
    Open {
        /// The first moment at which no window is open any more; none within the next weeks if they cover all time.
        until: Option<Timestamp>,
    },
    /// Closed.
    Closed {
        /// When the next one opens, in its own time zone.
        opens: Option<jiff::Zoned>,
    },
}

impl WindowStatus {
    /// Of some windows at a moment.
    pub fn at(windows: &[ChangeWindow], now: Timestamp) -> Self {
        if windows.is_empty() {
            return Self::AlwaysOpen;
        }
        let any_open = |at: Timestamp| windows.iter().any(|window| window.is_open(at));
        if any_open(now) {
            let mut ends: Vec<Timestamp> = windows
                .iter()
                .flat_map(|window| window.edges(now))
                .filter(|edge| *edge > now)
                .collect();
            ends.sort_unstable();
            return Self::Open {
                until: ends.into_iter().find(|edge| !any_open(*edge)),
            };
        }
        let opens = windows
            .iter()
            .flat_map(|window| {
                window
                    .edges(now)
                    .into_iter()
                    .filter(|edge| *edge > now && window.is_open(*edge))
                    .map(|edge| edge.to_zoned(window.time_zone.clone()))
            })
            .min_by_key(jiff::Zoned::timestamp);
        Self::Closed { opens }
    }
}

impl fmt::Display for ChangeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<String> = self.days.iter().map(Day::to_string).collect();
        let time = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        write!(f, "{} {}-{}", days.join(", "), time(self.start), time(self.end))?;
        match self.time_zone.iana_name() {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

impl ChangeWindow {
    /// Whether the wall clock reads a time inside.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let wall = self.time_zone.to_datetime(at);
        let (time, today) = (wall.time(), Day::of(wall.weekday()));
        if self.start < self.end {
            return self.days.contains(&today) && self.start <= time && time < self.end;
        }
        let yesterday = Day::of(wall.weekday().previous());
        (self.days.contains(&today) && time >= self.start) || (self.days.contains(&yesterday) && time < self.end)
    }

    /// Every moment of the next two weeks at which this window could open or close: the times of its edges on each
    /// day (both of them in a doubled hour) and the changes of the zone's clock.
    fn edges(&self, now: Timestamp) -> Vec<Timestamp> {
        let today = self.time_zone.to_datetime(now).date();
        let mut edges = Vec::new();
        for offset in -1..=14 {
            let Ok(date) = today.checked_add(offset.days()) else {
                continue;
            };
            for time in [self.start, self.end] {
                edges.extend(self.instants(date.to_datetime(time)));
            }
        }
        edges.extend(
            self.time_zone
                .following(now)
                .take(2)
                .map(|transition| transition.timestamp()),
        );
        edges
    }

    fn instants(&self, wall: DateTime) -> impl Iterator<Item = Timestamp> {
        let ambiguous = self.time_zone.to_ambiguous_timestamp(wall);
        [ambiguous.earlier(), ambiguous.later()].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{ChangeWindow, Day, WindowStatus};
    use jiff::Timestamp;
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    fn window(days: &[Day], start: (i8, i8), end: (i8, i8)) -> ChangeWindow {
        ChangeWindow {
            days: days.iter().copied().collect(),
            start: time(start.0, start.1, 0, 0),
            end: time(end.0, end.1, 0, 0),
            time_zone: TimeZone::get("Europe/Berlin").unwrap(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn open(window: &ChangeWindow, text: &str) -> bool {
        window.is_open(at(text))
    }

    #[test]
    fn a_window_across_midnight_belongs_to_the_day_it_starts_on() {
        let night = window(&[Day::Sat], (22, 0), (4, 0));
        assert!(!open(&night, "2026-11-21T21:59:59+01:00"));
        assert!(open(&night, "2026-11-21T22:00:00+01:00"));
        assert!(open(&night, "2026-11-22T03:59:59+01:00"));
        assert!(!open(&night, "2026-11-22T04:00:00+01:00"));
        assert!(
            !open(&night, "2026-11-22T22:00:00+01:00"),
            "Sunday night is not Saturday's"
        );
        assert!(
            !open(&night, "2026-11-21T03:00:00+01:00"),
            "Friday night is not Saturday's"
        );
    }

    #[test]
    fn closed_says_when_it_opens_next() {
        let night = [window(&[Day::Sat], (22, 0), (4, 0))];
        let WindowStatus::Closed { opens: Some(opens) } = WindowStatus::at(&night, at("2026-11-23T10:00:00Z")) else {
            panic!("it is Monday")
        };
        assert_eq!(opens.to_string(), "2026-11-28T22:00:00+01:00[Europe/Berlin]");
        assert_eq!(night[0].to_string(), "sat 22:00-04:00 Europe/Berlin");
    }

    #[test]
    fn open_says_until_when_across_windows_that_touch() {
        let both = [
            window(&[Day::Mon], (10, 0), (12, 0)),
            window(&[Day::Mon], (12, 0), (13, 0)),
        ];
        assert_eq!(
            WindowStatus::at(&both, at("2026-11-23T10:30:00+01:00")),
            WindowStatus::Open {
                until: Some(at("2026-11-23T13:00:00+01:00"))
            }
        );
    }

    #[test]
    fn in_the_doubled_hour_it_is_open_as_often_as_the_clock_reads_it() {
        // 2026-10-25: 03:00 CEST becomes 02:00 CET.
        let hour = window(&[Day::Sun], (2, 15), (2, 45));
        assert!(open(&hour, "2026-10-25T02:30:00+02:00"));
        assert!(!open(&hour, "2026-10-25T02:50:00+02:00"));
        assert!(open(&hour, "2026-10-25T02:30:00+01:00"));
        let between = WindowStatus::at(std::slice::from_ref(&hour), at("2026-10-25T02:50:00+02:00"));
        let WindowStatus::Closed { opens: Some(opens) } = between else {
            panic!("{between:?}")
        };
        assert_eq!(opens.timestamp(), at("2026-10-25T02:15:00+01:00"));
    }

    #[test]
    fn a_window_that_starts_in_the_missing_hour_opens_when_the_clock_jumps() {
        // 2027-03-28: 02:00 CET becomes 03:00 CEST.
        let early = window(&[Day::Sun], (2, 30), (4, 0));
        assert!(!open(&early, "2027-03-28T01:59:59+01:00"));
        assert!(open(&early, "2027-03-28T03:00:00+02:00"));
        let before = WindowStatus::at(std::slice::from_ref(&early), at("2027-03-28T01:00:00+01:00"));
        let WindowStatus::Closed { opens: Some(opens) } = before else {
            panic!("{before:?}")
        };
        assert_eq!(opens.timestamp(), at("2027-03-28T03:00:00+02:00"));
    }

    #[test]
    fn a_window_inside_the_missing_hour_does_not_happen_that_day() {
        let hour = [window(&[Day::Sun], (2, 15), (2, 45))];
        let WindowStatus::Closed { opens: Some(opens) } = WindowStatus::at(&hour, at("2027-03-28T01:00:00+01:00"))
        else {
            panic!("it never opens on that day")
        };
        assert_eq!(opens.to_string(), "2027-04-04T02:15:00+02:00[Europe/Berlin]");
    }

    #[test]
    fn no_windows_are_always_open() {
        assert_eq!(
            WindowStatus::at(&[], at("2026-11-23T10:00:00Z")),
            WindowStatus::AlwaysOpen
        );
    }
}
