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
    /// Groups that hold, somewhere below, a thing that the user is a member of: such a group is visible.
    above: std::collections::HashSet<u64>,
}

impl Roles {
    /// The roles of that user; `sees_all` is for whoever may act as administrator.
    pub(crate) fn of(world: &World, user_id: Option<u64>, sees_all: bool) -> Self {
        let today = world.today();
        let mut direct: HashMap<Source, AccessLevel> = HashMap::new();
        for member in &world.members {
            let alive = member.expires_at.as_ref().is_none_or(|day| *day > today);
            if Some(member.user_id) == user_id && alive {
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
            above: std::collections::HashSet::new(),
        };
        for group in &world.groups {
            let mut level = 0;
            let mut at = Some(group.id);
            while let Some(id) = at {
                level = level.max(direct.get(&Source::Group(id)).copied().unwrap_or(0));
                at = parents.get(&id).copied().flatten();
            }
            if level > 0 {
                roles.groups.insert(group.id, level);
                roles.mark_above(&parents, group.parent_id);
            }
        }
        for (source, level) in direct {
            if let Source::Project(id) = source {
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
        self.projects.get(&project.id).copied().unwrap_or(0)
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
