//! All projects of the instance or below a group, in as few requests as GitLab allows, read side by side.
//!
//! The simple form of a project has neither `archived` nor the mark of deletion, so the full one is read.

use futures_util::future::try_join_all;

use super::Below;
use super::api::GitlabApi;
use super::pages::{PER_PAGE, Room, keyset, offset, rows_of};
use super::wire;
use crate::http::{ErrorKind, Request, Result};
use crate::model::{FullPath, ObservedProject};

/// Ids that one range spans at least: ten pages where ids have no gaps.
const RANGE: u64 = 1000;
/// Ranges at most. More than requests in flight, because ids are not spread evenly.
const RANGES: u64 = 16;

impl GitlabApi {
    /// All projects below a group by offset pages. GitLab refuses offsets beyond 50,000 (405); then the
    /// instance's list is read instead.
    pub(super) async fn projects_below(&self, group: &Below<'_>) -> Result<Vec<ObservedProject>> {
        // A path in a URL has its slashes encoded, which some proxies refuse or undo.
        let id = match group.id {
            None if group.path.parent().is_some() => match self.groups_at(&[group.path]).await?.remove(group.path) {
                None => return Ok(Vec::new()),
                found => found,
            },
            known => known,
        };
        let name = id.map_or_else(|| group.path.as_str().to_owned(), |id| id.to_string());
        let request = self.get(&["groups", &name, "projects"]).query([
            ("include_subgroups", "true"),
            ("with_shared", "false"),
            ("order_by", "id"),
            ("sort", "asc"),
        ]);
        let projects = match offset::<wire::Project>(&self.client, request).await {
            Err(error) if error.kind == ErrorKind::Status(405) => return self.all_projects(Some(group.path)).await,
            other => other?,
        };
        Ok(observed(projects, Some(group.path)))
    }

    /// All projects of the instance by keyset pages. The first page starts at the highest id, which tells what ranges
    /// there are left to be read in parallel.
    pub(super) async fn all_projects(&self, below: Option<&FullPath>) -> Result<Vec<ObservedProject>> {
        let newest = self.client.call(self.keyset_request("desc")).await?;
        let room = Room::default();
        let mut projects: Vec<wire::Project> = rows_of(&newest, &room)?;
        // A page that is not full is the only one.
        let lowest = projects.iter().map(|project| project.id).min();
        if let Some(lowest) = lowest.filter(|_| projects.len() == PER_PAGE) {
            let reads = ranges(lowest).into_iter().map(|(after, before)| {
                let request = self
                    .keyset_request("asc")
                    .query([("id_after", after.to_string()), ("id_before", before.to_string())]);
                keyset(&self.client, request, &room, |project: &wire::Project| project.id)
            });
            for more in try_join_all(reads).await? {
                projects.extend(more);
            }
        }
        Ok(observed(projects, below))
    }

    fn keyset_request(&self, sort: &str) -> Request {
        self.get(&["projects"]).query([
            ("pagination", "keyset"),
            ("order_by", "id"),
            ("sort", sort),
            ("per_page", &PER_PAGE.to_string()),
        ])
    }
}

/// Cuts the ids below `end` into ranges for `id_after` and `id_before`, both exclusive.
fn ranges(end: u64) -> Vec<(u64, u64)> {
    let count = (end / RANGE).clamp(1, RANGES);
    let cut = |index: u64| (end - 1) / count * index;
    (0..count)
        .map(|index| (cut(index), if index + 1 == count { end } else { cut(index + 1) + 1 }))
        .collect()
}

fn observed(projects: Vec<wire::Project>, below: Option<&FullPath>) -> Vec<ObservedProject> {
    let mut projects: Vec<_> = projects
        .into_iter()
        .map(wire::Project::observed)
        .filter(|project| below.is_none_or(|group| group.contains(&project.path)))
        .collect();
    // Offset pages shift while projects come and go.
    projects.sort_by_key(|project| project.id);
    projects.dedup_by_key(|project| project.id);
    projects
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn ranges_hold_each_id_once() {
        for end in [1, 2, 999, 1000, 2001, 16_000, 123_457] {
            let ranges = ranges(end);
            let mut held: Vec<u64> = ranges.iter().flat_map(|&(after, before)| after + 1..before).collect();
            held.sort_unstable();
            assert_eq!(held, (1..end).collect::<Vec<_>>(), "{end}: {ranges:?}");
        }
        assert_eq!(ranges(900).len(), 1);
        assert_eq!(ranges(1_000_000).len(), 16);
    }
}
