//! Change windows.

use std::collections::BTreeSet;

use super::super::convert::{clock_time, time_zone};
use super::super::fault::Finding;
use super::super::nearest;
use super::super::raw::{RawChangeWindow, Spanned};
use super::Facts;

fn windows<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a RawChangeWindow> {
    facts.raw.change_windows.iter().flatten().map(Spanned::get)
}

pub(super) fn windows_have_days(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    // A list from which a wrong day was taken out may be empty by that alone.
    let some_are_wrong = facts.broken.contains("change_windows.days");
    for days in windows(facts).filter_map(|window| window.days.as_ref()) {
        if days.is_empty() && !some_are_wrong {
            findings.push(Finding::new(
                days.span(),
                "a change window opens on no day",
                "list days, such as [\"sat\", \"sun\"], or remove the window",
            ));
        }
        let mut seen = BTreeSet::new();
        for day in days.iter().filter(|day| !seen.insert(***day)) {
            findings.push(Finding::new(day.span(), "`days` lists this twice", "keep it once"));
        }
    }
}

pub(super) fn windows_open_and_close(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for window in windows(facts) {
        for (key, time) in [("start", &window.start), ("end", &window.end)] {
            if let Some(time) = time.as_ref().filter(|time| clock_time(time).is_none()) {
                findings.push(Finding::new(
                    time.span(),
                    format!("`{key}` of a change window is no time of day"),
                    "write HH:MM, from \"00:00\" to \"23:59\"",
                ));
            }
        }
        let (Some(start), Some(end)) = (&window.start, &window.end) else {
            continue;
        };
        if clock_time(start).is_some_and(|start| clock_time(end) == Some(start)) {
            findings.push(Finding::new(
                end.span(),
                "a change window ends when it starts",
                "write a later `end`, or an earlier one for a window that crosses midnight",
            ));
        }
    }
}

pub(super) fn time_zones_exist(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for zone in windows(facts).filter_map(|window| window.time_zone.as_ref()) {
        if time_zone(zone).is_some() {
            continue;
        }
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let hint = match nearest::nearest(zone, names.iter().map(String::as_str)) {
            Some(nearest) if nearest.is_close => format!("the nearest known time zone is `{}`", nearest.word),
            _ => "write the name of a zone of the IANA time zone database, such as \"Europe/Berlin\"".to_owned(),
        };
        findings.push(Finding::new(
            zone.span(),
            "`time_zone` names no time zone that is known",
            hint,
        ));
    }
}
