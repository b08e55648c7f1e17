//! Where a second factor is enforced: for everybody, for administrators, or by a group; and until when its set-up may
//! be put off.
//!
//! GitLab: `lib/gitlab/auth/two_factor_auth_verifier.rb`, and `expanded_groups_requiring_two_factor_authentication` of the
//! user's model.

use jiff::{SignedDuration, Timestamp};

use crate::world::{Group, Source, User, World};

/// What enforces a second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Enforced {
    /// The setting for everybody.
    Everybody,
    /// The setting for administrators.
    Administrators,
    /// Groups, by name.
    Groups(Vec<String>),
}

/// A second factor that an account must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) by: Enforced,
    grace_hours: u32,
}

impl Requirement {
    /// The end of the grace period of an account.
    pub(crate) fn deadline(&self, user: &User, now: Timestamp) -> Timestamp {
        user.two_factor_grace_started_at.unwrap_or(now) + SignedDuration::from_hours(i64::from(self.grace_hours))
    }
}

/// The second factor that an account must have and has not.
pub(crate) fn owed(world: &World, user: &User) -> Option<Requirement> {
    if user.two_factor_enabled() || user.internal {
        return None;
    }
    let grace_hours = world.switches.two_factor_grace_period;
    if world.switches.require_two_factor {
        let by = Enforced::Everybody;
        return Some(Requirement { by, grace_hours });
    }
    if world.switches.require_admin_two_factor && user.admin {
        let by = Enforced::Administrators;
        return Some(Requirement { by, grace_hours });
    }
    let groups = enforcing_groups(world, user.id);
    let grace_hours = groups
        .iter()
        .map(|group| group.two_factor_grace_period.unwrap_or(48))
        .min()?;
    let names = groups.iter().map(|group| group.name.clone()).collect();
    Some(Requirement {
        by: Enforced::Groups(names),
        grace_hours,
    })
}

/// The groups that enforce it for their members: those that an account is a direct member of, and those above and below.
fn enforcing_groups(world: &World, user_id: u64) -> Vec<&Group> {
    let today = world.today();
    let own: Vec<&Group> = world
        .members
        .iter()
        .filter(|member| member.user_id == user_id && member.counts(&today))
        .filter_map(|member| match member.source {
            Source::Group(id) => world.group(id),
            Source::Project(_) => None,
        })
        .collect();
    let within = |inner: &Group, outer: &Group| {
        inner.id == outer.id
            || inner
                .full_path
                .strip_prefix(&outer.full_path)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let related = |group: &&Group| own.iter().any(|own| within(own, group) || within(group, own));
    world
        .groups
        .iter()
        .filter(|group| group.require_two_factor)
        .filter(related)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Visibility;

    #[test]
    fn a_membership_below_or_above_an_enforcing_group_enforces_it() {
        for (member_of, enforcing, expected) in [
            ("a", "a", true),
            ("a/b", "a", true),
            ("a", "a/b", true),
            ("ab", "a", false),
            ("a/b", "a/c", false),
        ] {
            let mut world = World::default();
            for path in ["a", "a/b", "a/c", "ab"] {
                world.add_group(path, path, Visibility::Private);
            }
            world.users.push(User {
                id: 7,
                ..User::default()
            });
            let id = world.group_at(member_of).unwrap().id;
            world.set_member(Source::Group(id), 7, 30);
            let enforcing = world.group_at(enforcing).unwrap().id;
            let group = world.groups.iter_mut().find(|group| group.id == enforcing).unwrap();
            group.require_two_factor = true;
            let user = world.user(7).unwrap();
            assert_eq!(owed(&world, user).is_some(), expected, "{member_of}");
        }
    }
}
