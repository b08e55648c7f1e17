//! What a saved plan may do: what a plan made now does as well, and no more. The file is not signed, so whatever it says
//! is held against a plan that was made from both sides as they are, and it is that plan's writes which are carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::SavedPlan;
use crate::model::{Address, AttributeChange, Change, Plan};
use crate::planner;

/// Something in the file that a plan made now does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deviation {
    pub address: Address,
    /// What it is, in words.
    pub what: String,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.what)
    }
}

impl SavedPlan {
    /// The fresh plan, with no more in it than was saved; or everything that was saved and is not in the fresh plan.
    pub fn restrict(&self, fresh: Plan) -> Result<Plan, Vec<Deviation>> {
        let now: BTreeMap<&Address, &Change> = fresh.changes.iter().map(|change| (&change.address, change)).collect();
        let mut deviations = BTreeSet::new();
        let mut kept = BTreeSet::new();
        let mut still_blocked = Vec::new();
        for saved in &self.plan.changes {
            let address = &saved.address;
            match now.get(address) {
                // What could not be done, and is done now.
                None if is_idle(saved) => {}
                None => {
                    deviations.insert(deviation(address, "a plan made now changes nothing here"));
                }
                Some(now) => {
                    kept.insert(address.clone());
                    if !is_idle(saved) {
                        deviations.extend(differences(saved, now));
                    } else if !is_idle(now) {
                        still_blocked.push(saved.clone());
                    }
                }
            }
        }
        for address in planner::belonging(&fresh, &kept) {
            if now.contains_key(&address) && !kept.contains(&address) {
                let what = "the file leaves it out, and something else in it needs it";
                deviations.insert(deviation(&address, what));
            }
        }
        if !deviations.is_empty() {
            return Err(deviations.into_iter().collect());
        }
        let mut plan = fresh;
        // Nobody approved what has become possible since.
        for change in &mut plan.changes {
            if let Some(blocked) = still_blocked.iter().find(|blocked| blocked.address == change.address) {
                change.clone_from(blocked);
            }
            let foreseen = |saved: &Change| saved.address == change.address && saved.fallback.is_some();
            if change.fallback.is_some() && !self.plan.changes.iter().any(foreseen) {
                change.fallback = None;
            }
        }
        planner::keep_only(&mut plan, &kept);
        Ok(plan)
    }
}

/// Whether nothing of a change is carried out.
pub(super) fn is_idle(change: &Change) -> bool {
    change.operations.is_empty() && change.steps.is_empty()
}

fn deviation(address: &Address, what: impl Into<String>) -> Deviation {
    Deviation {
        address: address.clone(),
        what: what.into(),
    }
}

/// In what a change of the file is not the change of now.
fn differences(saved: &Change, now: &Change) -> Vec<Deviation> {
    let address = &saved.address;
    let mut differences = Vec::new();
    differences.extend(
        missing(&saved.operations, &now.operations, "do")
            .map(|names| deviation(address, format!("a plan made now does not {names} like this"))),
    );
    differences.extend(
        missing(&saved.steps, &now.steps, "step")
            .map(|names| deviation(address, format!("a plan made now has no such step as {names}"))),
    );
    if saved.actions != now.actions {
        let (saved, now) = (saved.actions.words().join(" and "), now.actions.words().join(" and "));
        differences.push(deviation(
            address,
            format!("the file says {saved}, and a plan made now says {now}"),
        ));
    }
    if !shows_the_same(&saved.attributes, &now.attributes) {
        differences.push(deviation(
            address,
            "the file shows other attributes than a plan made now",
        ));
    }
    if saved.fallback.is_some() {
        differences.extend(other_fallback(saved, now));
    }
    differences
}

/// What a change of the file may come to, and a plan made now may not.
fn other_fallback(saved: &Change, now: &Change) -> Vec<Deviation> {
    let (of_file, of_now) = (saved.possible(), now.possible());
    let addresses = |changes: &[Change]| changes.iter().map(|change| change.address.clone()).collect::<Vec<_>>();
    if addresses(of_file) != addresses(of_now) {
        let what = "the file allows for something else than a plan made now where GitLab refuses the secret";
        return vec![deviation(&saved.address, what)];
    }
    let pairs = of_file.iter().zip(of_now);
    pairs.flat_map(|(saved, now)| differences(saved, now)).collect()
}

/// The names of what the file has and a plan made now has not; of all of it, where only the order or the number differs.
fn missing<T: PartialEq + Serialize>(saved: &[T], now: &[T], tag: &str) -> Option<String> {
    if saved == now {
        return None;
    }
    let mut own: Vec<&T> = saved.iter().filter(|one| !now.contains(one)).collect();
    if own.is_empty() {
        own = if saved.is_empty() {
            now.iter().collect()
        } else {
            saved.iter().collect()
        };
    }
    let names: BTreeSet<String> = own.into_iter().map(|one| name(one, tag)).collect();
    Some(names.into_iter().collect::<Vec<_>>().join(", "))
}

/// What it is called in the file.
fn name<T: Serialize>(one: &T, tag: &str) -> String {
    let value = serde_json::to_value(one).unwrap_or_default();
    let name = value.get(tag).and_then(Value::as_str).unwrap_or("this");
    format!("`{name}`")
}

/// What one of the two runs was not shown is null there, and not known to differ.
fn shows_the_same(saved: &[AttributeChange], now: &[AttributeChange]) -> bool {
    let fits = |saved: &Value, now: &Value| saved == now || saved.is_null() || now.is_null();
    saved.len() == now.len()
        && saved.iter().zip(now).all(|(saved, now)| {
            saved.path == now.path
                && saved.sensitive == now.sensitive
                && saved.after == now.after
                && fits(&saved.before, &now.before)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::{Command, IntegrationStatus, Known, Plan, SecretCheck};
    use crate::planfile::tests::saved;
    use crate::planfile::{SavedPlan, read, with_digest};
    use crate::planner::fixture::{Case, FINGERPRINT, converged};

    /// Renamed, with another trusted, and with one repository not enabled: three changes.
    fn drifted() -> Case {
        let mut case = converged();
        case.policy.admin_session = true;
        "Somebody".clone_into(&mut case.user().fields.name);
        "Another".clone_into(&mut case.application().fields.name);
        case.list().values_mut().next().unwrap().enabled = false;
        case
    }

    fn edited(case: &Case, edit: impl FnOnce(&mut Value)) -> SavedPlan {
        let mut file: Value = serde_json::from_str(&saved(case)).unwrap();
        edit(&mut file);
        let Value::Object(file) = file else { panic!("no object") };
        read(&with_digest(file)).unwrap()
    }

    fn fresh(case: &Case) -> Plan {
        let mut case = case.clone();
        case.policy.command = Command::Apply;
        case.plan()
    }

    fn said(saved: &SavedPlan, case: &Case) -> Vec<String> {
        match saved.restrict(fresh(case)) {
            Ok(plan) => panic!("{plan:#?}"),
            Err(deviations) => deviations.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_was_saved_is_the_fresh_plan_and_a_part_of_it_stays_a_part() {
        let case = drifted();
        let whole = edited(&case, |_| {});
        assert_eq!(whole.restrict(fresh(&case)).unwrap(), fresh(&case));
        let part = edited(&case, |file| {
            for list in ["/changes", "/execution/changes"] {
                file.pointer_mut(list).unwrap().as_array_mut().unwrap().truncate(1);
            }
        });
        let plan = part.restrict(fresh(&case)).unwrap();
        let addresses: Vec<String> = plan.changes.iter().map(|change| change.address.to_string()).collect();
        assert_eq!(addresses, ["gitlab.application"]);
        assert_eq!((plan.summary.update, plan.summary.create), (1, 0));
    }

    #[test]
    fn other_writes_steps_words_and_values_are_refused_by_name() {
        let case = drifted();
        let user = 1;
        let operation = |operation: Value| {
            move |file: &mut Value| file["execution"]["changes"][user]["operations"] = json!([operation])
        };
        let told = |edit: &dyn Fn(&mut Value)| said(&edited(&case, |file| edit(file)), &case);
        for (edit, expected) in [
            (json!({"do": "delete_user", "id": 1}), "delete_user"),
            (
                json!({"do": "edit_user", "id": 1, "edit": {"name": "Factory Droid"}}),
                "edit_user",
            ),
            (
                json!({"do": "edit_user", "id": 7, "edit": {"email": "m@example.com"}}),
                "edit_user",
            ),
            (
                json!({"do": "delete_application", "id": 9, "uid": "9"}),
                "delete_application",
            ),
        ] {
            assert_eq!(
                told(&operation(edit)),
                [format!("gitlab.user: a plan made now does not `{expected}` like this")]
            );
        }
        assert_eq!(
            told(&|file| file["execution"]["changes"][user]["steps"] = json!([{"step": "delete_connection"}])),
            ["gitlab.user: a plan made now has no such step as `delete_connection`"]
        );
        assert_eq!(
            told(&|file| file["changes"][user]["actions"] = json!(["delete"])),
            ["gitlab.user: the file says delete, and a plan made now says update"]
        );
        assert_eq!(
            told(&|file| file["changes"][user]["attributes"][0]["after"] = json!("Mallory")),
            ["gitlab.user: the file shows other attributes than a plan made now"]
        );
        let mut repaired = case.clone();
        repaired.user().fields.name.clone_from(&case.desired.user.fields.name);
        assert_eq!(
            said(&edited(&case, |_| {}), &repaired),
            ["gitlab.user: a plan made now changes nothing here"]
        );
    }

    #[test]
    fn what_is_possible_is_what_was_saved_as_such() {
        let mut case = converged();
        case.integration().status = IntegrationStatus::Configured;
        case.observed.factory.repositories = Known::Unknown;
        let possible = |plan: &Plan| plan.changes[0].possible().len();
        let whole = edited(&case, |_| {});
        assert_eq!(whole.restrict(fresh(&case)).unwrap(), fresh(&case));
        assert_eq!(possible(&fresh(&case)), 2);
        let without = edited(&case, |file| {
            for list in ["/changes", "/execution/changes"] {
                let change = &mut file.pointer_mut(list).unwrap()[0];
                change.as_object_mut().unwrap().remove("fallback");
            }
        });
        assert_eq!(possible(&without.restrict(fresh(&case)).unwrap()), 0);
        // Handed over where it was to be renewed, and the reverse, is another possibility; so is another write.
        let mut stored = case.clone();
        stored.observed.gitlab.secret = SecretCheck::Accepted {
            fingerprint: FINGERPRINT.to_owned(),
        };
        let other = "factory.authorization: the file allows for something else than a plan made now where GitLab refuses \
                     the secret";
        assert_eq!(said(&whole, &stored), [other]);
        assert_eq!(said(&edited(&stored, |_| {}), &case), [other]);
        let deletes = edited(&case, |file| {
            let writes = &mut file["execution"]["changes"][0]["fallback"][0]["operations"];
            *writes = json!([{"do": "delete_application", "id": 9, "uid": "9"}]);
        });
        assert_eq!(
            said(&deletes, &case),
            ["gitlab.application: a plan made now does not `delete_application` like this"]
        );
    }

    #[test]
    fn what_something_else_needs_cannot_be_left_out() {
        let case = crate::planner::fixture::untouched();
        let without_user = edited(&case, |file| {
            for list in ["/changes", "/execution/changes"] {
                let list = file.pointer_mut(list).unwrap().as_array_mut().unwrap();
                list.retain(|change| change["address"] != "gitlab.user");
            }
        });
        let said = said(&without_user, &case);
        assert_eq!(
            said,
            ["gitlab.user: the file leaves it out, and something else in it needs it"]
        );
    }

    #[test]
    fn what_could_not_be_done_then_is_not_done_now() {
        let mut case = drifted();
        case.policy.admin_session = false;
        let blocked = edited(&case, |_| {});
        case.policy.admin_session = true;
        let plan = blocked.restrict(fresh(&case)).unwrap();
        assert!(plan.changes[0].operations.is_empty(), "{:#?}", plan.changes[0]);
        assert_eq!(plan.summary.blocked, 1);
    }
}
