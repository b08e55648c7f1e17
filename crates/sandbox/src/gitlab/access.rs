//! Who sees and may do what: roles inherited down the groups, visibility levels.

use std::collections::HashMap;

use crate::world::{AccessLevel, Group, Project, Source, Visibility, World};

/// The roles of one user (or of nobody) over the whole instance, computed once a request.
pub(crate) struct Roles {
    user_id: Option<u64>,
    external: bool,
    sees_all: bool,
    groups: HashMap<u64, AccessLevel>,
    projects: HashMap<u64, AccessLevel>,
    direct_projects: HashMap<u64, AccessLevel>,
    /// Groups that hold, somewhere below, a thing that the user is a member of: such a group is visible.
    above: std::collections::HashSet<u64>,
}

impl Roles {
    /// The roles of that user; `sees_all` is for whoever may act as administrator.
    pub(crate) fn of(world: &World, user_id: Option<u64>, sees_all: bool) -> Self {
        let today = world.today();
        let mut direct: HashMap<Source, AccessLevel> = HashMap::new();
        for member in &world.members {
            if Some(member.user_id) == user_id && member.counts(&today) {
                direct.insert(member.source, member.access_level);
            }
        }
        let parents: HashMap<u64, Option<u64>> = world.groups.iter().map(|group| (group.id, group.parent_id)).collect();
        let mut roles = Self {
            user_id,
            external: user_id.and_then(|id| world.user(id)).is_none_or(|user| user.external),
            sees_all,
            groups: HashMap::new(),
            projects: HashMap::new(),
            direct_projects: HashMap::new(),
            above: std::collections::HashSet::new(),
        };
        let inherited = |own: &HashMap<Source, AccessLevel>, group: u64| {
            let mut level = 0;
            let mut at = Some(group);
            while let Some(id) = at {
                level = level.max(own.get(&Source::Group(id)).copied().unwrap_or(0));
                at = parents.get(&id).copied().flatten();
            }
            level
        };
        // Through groups that were invited, which is not handed on to where those groups were invited in turn.
        let mut through = direct.clone();
        for share in &world.shares {
            let alive = share.expires_at.as_ref().is_none_or(|day| *day > today);
            let level = inherited(&direct, share.group_id).min(share.access_level);
            if alive && level > 0 {
                let entry = through.entry(share.source).or_insert(0);
                *entry = level.max(*entry);
            }
        }
        for group in &world.groups {
            let level = inherited(&through, group.id);
            if level > 0 {
                roles.groups.insert(group.id, level);
                roles.mark_above(&parents, group.parent_id);
            }
        }
        for (source, level) in through {
            if let Source::Project(id) = source {
                if let Some(level) = direct.get(&source) {
                    roles.direct_projects.insert(id, *level);
                }
                roles.projects.insert(id, level);
                let group_id = world.project(id).and_then(|project| project.group_id);
                roles.mark_above(&parents, group_id);
            }
        }
        roles
    }

    fn mark_above(&mut self, parents: &HashMap<u64, Option<u64>>, mut at: Option<u64>) {
        while let Some(id) = at {
            if !self.above.insert(id) {
                return;
            }
            at = parents.get(&id).copied().flatten();
        }
    }

    /// The role in a group, inherited or direct; 0: none.
    pub(crate) fn in_group(&self, group: &Group) -> AccessLevel {
        self.groups.get(&group.id).copied().unwrap_or(0)
    }

    /// The role in a project, inherited or direct; 0: none.
    pub(crate) fn in_project(&self, project: &Project) -> AccessLevel {
        let own = if project.owner_id.is_some() && project.owner_id == self.user_id {
            50
        } else {
            0
        };
        let direct = self.projects.get(&project.id).copied().unwrap_or(0);
        let inherited = project
            .group_id
            .and_then(|id| self.groups.get(&id))
            .copied()
            .unwrap_or(0);
        own.max(direct).max(inherited)
    }

    /// The direct role in a project; 0: none.
    pub(crate) fn directly_in_project(&self, project: &Project) -> AccessLevel {
        self.direct_projects.get(&project.id).copied().unwrap_or(0)
    }

    /// Whether the project shows at all; elsewhere it answers 404.
    pub(crate) fn sees_project(&self, project: &Project) -> bool {
        self.sees_all || self.visible(project.visibility) || self.in_project(project) > 0
    }

    /// Whether the group shows at all.
    pub(crate) fn sees_group(&self, group: &Group) -> bool {
        self.sees_all || self.visible(group.visibility) || self.in_group(group) > 0 || self.above.contains(&group.id)
    }

    fn visible(&self, visibility: Visibility) -> bool {
        match visibility {
            Visibility::Public => true,
            Visibility::Internal => self.user_id.is_some() && !self.external,
            Visibility::Private => false,
        }
    }
}
