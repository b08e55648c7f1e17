//! GraphQL, for the one thing it does better than REST: many paths, groups as well as projects, in one request.
//!
//! GitLab takes 50 paths in `projects(fullPaths:)` and a complexity of 300 of an administrator (250 of anybody
//! else, 200 where it does not know who asks). A group by alias costs three and the projects fourteen: forty groups fit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use futures_util::future::try_join_all;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::GitlabApi;
use crate::http::{Error, Response, Result};
use crate::model::{FullPath, GroupId, Known, ObservedProject, ProjectId, Visibility};
use crate::secrets::RemoteText;

/// Paths that `projects(fullPaths:)` takes.
pub(super) const PROJECTS: usize = 50;
/// Projects by id in one query: as many as a page has.
const IDS: usize = 100;
/// Groups by alias in one query.
pub(super) const GROUPS: usize = 40;

/// What a query found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) projects: Vec<ObservedProject>,
    pub(super) groups: BTreeMap<FullPath, GroupId>,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    message: RemoteText,
}

#[derive(Deserialize)]
struct Connection {
    nodes: Vec<Option<ProjectNode>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectNode {
    id: String,
    #[serde(deserialize_with = "FullPath::received")]
    full_path: FullPath,
    visibility: Visibility,
    archived: bool,
    /// Itself, or through a group above it.
    #[serde(default)]
    marked_for_deletion: Option<bool>,
    #[serde(default)]
    marked_for_deletion_on: Option<String>,
}

/// The fields that tell of a deletion to come, best first: a GitLab without one is asked for the next. The first counts
/// the groups above, too; the Community Edition has the second since 18, with delayed deletion itself.
const MARKS: [&str; 3] = [" markedForDeletion", " markedForDeletionOn", ""];

/// What a query asks for beside groups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Projects {
    None,
    ByPath,
    ById,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupNode {
    id: String,
    #[serde(deserialize_with = "FullPath::received")]
    full_path: FullPath,
}

impl GitlabApi {
    /// Looks paths up: some as projects, some as groups. What is not there, or not visible, is not in the answer.
    pub(super) async fn look_up(&self, projects: &[&FullPath], groups: &[&FullPath]) -> Result<Found> {
        let mut variables = Map::new();
        if !projects.is_empty() {
            variables.insert("paths".to_owned(), strings(projects));
        }
        for (index, path) in groups.iter().enumerate() {
            variables.insert(format!("g{index}"), path.as_str().into());
        }
        let by = if projects.is_empty() {
            Projects::None
        } else {
            Projects::ByPath
        };
        let (answer, body) = self.ask(by, groups.len(), &variables).await?;
        read(&answer, body, groups)
    }

    /// Projects by their ids, in batches, side by side. What is not there, or not visible, is not in the answer.
    pub(super) async fn look_up_ids(&self, ids: &BTreeSet<ProjectId>) -> Result<Vec<ObservedProject>> {
        let ids: Vec<Value> = ids
            .iter()
            .map(|id| format!("gid://gitlab/Project/{id}").into())
            .collect();
        let batches = ids.chunks(IDS).map(async |batch| {
            let variables = Map::from_iter([("ids".to_owned(), Value::from(batch))]);
            let (answer, body) = self.ask(Projects::ById, 0, &variables).await?;
            read(&answer, body, &[])
        });
        let found = try_join_all(batches).await?;
        Ok(found.into_iter().flat_map(|part| part.projects).collect())
    }

    /// Asks with the best mark of deletion that this GitLab knows.
    async fn ask(
        &self,
        projects: Projects,
        groups: usize,
        variables: &Map<String, Value>,
    ) -> Result<(Response, Answer)> {
        loop {
            let at = self.deletion_mark.load(Ordering::Relaxed);
            let mark = MARKS.get(at).copied().unwrap_or_default();
            let (answer, body) = self.send_query(&query(projects, groups, mark), variables).await?;
            let unknown = |fault: &Fault| fault.message.as_str().contains("markedForDeletion");
            if mark.is_empty() || projects == Projects::None || !body.errors.iter().any(unknown) {
                return Ok((answer, body));
            }
            // Queries under way at once may all find it out.
            self.deletion_mark.fetch_max(at + 1, Ordering::Relaxed);
        }
    }

    async fn send_query(&self, query: &str, variables: &Map<String, Value>) -> Result<(Response, Answer)> {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let request = self.client.post(&["api", "graphql"]).json(&body)?.reading();
        let answer = self.client.call(request).await?;
        let body = answer.json()?;
        Ok((answer, body))
    }
}

fn strings(paths: &[&FullPath]) -> Value {
    paths.iter().map(|path| path.as_str()).collect()
}

/// The query; the paths go into its variables.
fn query(projects: Projects, groups: usize, mark: &str) -> String {
    let mut head = Vec::new();
    let mut body = String::new();
    let argument = match projects {
        Projects::None => None,
        // GitLab compares the types of variables: `[ID!]`, which `group` takes one of, is refused here.
        Projects::ByPath => Some(("$paths: [String!]", "fullPaths: $paths")),
        Projects::ById => Some(("$ids: [ID!]", "ids: $ids")),
    };
    if let Some((variable, argument)) = argument {
        head.push(variable.to_owned());
        let _ = write!(
            body,
            "projects({argument}) {{ nodes {{ id fullPath visibility archived{mark} }} }} "
        );
    }
    for index in 0..groups {
        head.push(format!("$g{index}: ID!"));
        let _ = write!(body, "g{index}: group(fullPath: $g{index}) {{ id fullPath }} ");
    }
    format!("query({}) {{ {}}}", head.join(", "), body)
}

pub(super) fn read(answer: &Response, body: Answer, groups: &[&FullPath]) -> Result<Found> {
    if let Some(fault) = body.errors.first() {
        return Err(answer.unexpected(format!("GitLab refused a GraphQL query: {}", fault.message)));
    }
    let mut data = body.data.unwrap_or_default();
    let mut found = Found::default();
    if let Some(value) = data.remove("projects") {
        let connection: Option<Connection> = node(answer, value)?;
        for project in connection.into_iter().flat_map(|list| list.nodes).flatten() {
            found.projects.push(ObservedProject {
                id: ProjectId(global_id(answer, &project.id)?),
                path: project.full_path,
                archived: project.archived,
                pending_deletion: project.marked_for_deletion == Some(true) || project.marked_for_deletion_on.is_some(),
                invited_groups: Known::Unknown,
                visibility: project.visibility,
            });
        }
    }
    for (index, asked) in groups.iter().enumerate() {
        let value = data.remove(&format!("g{index}")).unwrap_or_default();
        // A group that moved is not the one that was asked for.
        if let Some(group) = node::<GroupNode>(answer, value)?.filter(|group| group.full_path == **asked) {
            found
                .groups
                .insert((*asked).clone(), GroupId(global_id(answer, &group.id)?));
        }
    }
    Ok(found)
}

fn node<T: serde::de::DeserializeOwned>(answer: &Response, value: Value) -> Result<Option<T>, Error> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        answer.unexpected(format!(
            "GitLab's GraphQL answered another shape than documented: {}",
            RemoteText::new(&error.to_string())
        ))
    })
}

/// The number at the end of `gid://gitlab/Project/42`.
fn global_id(answer: &Response, id: &str) -> Result<u64> {
    id.rsplit('/')
        .next()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            answer.unexpected(format!(
                "GitLab's GraphQL answered an id that is none: {}",
                RemoteText::within(id, 80)
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, MARKS, Projects, query};

    #[test]
    fn a_full_query_stays_below_gitlabs_limit_of_characters() {
        let query = query(Projects::ByPath, GROUPS, MARKS[1]);
        assert!(query.len() < 10_000, "{}", query.len());
        assert!(query.starts_with("query($paths: [String!], $g0: ID!"), "{query}");
    }

    /// Every query that can be sent, with one group for however many. `.ci/run` holds this list against the types that
    /// GitLab declares, and what was sent against the list.
    #[test]
    fn all_queries_are_in_the_list_that_is_judged() {
        let all: Vec<String> = MARKS
            .into_iter()
            .flat_map(|mark| {
                [
                    (Projects::ByPath, 0, mark),
                    (Projects::ByPath, 1, mark),
                    (Projects::ById, 0, mark),
                    (Projects::None, 1, mark),
                ]
            })
            .map(|(projects, groups, mark)| query(projects, groups, mark))
            .collect();
        let unique: std::collections::BTreeSet<&str> = all.iter().map(String::as_str).collect();
        let list = unique.into_iter().collect::<Vec<_>>().join("\n\n") + "\n";
        let judged = include_str!("../../tests/conformance/queries.graphql");
        assert_eq!(
            judged, list,
            "write the right side into tests/conformance/queries.graphql"
        );
        for groups in 2..=GROUPS {
            let group = |index: usize| format!("g{index}: group(fullPath: $g{index}) {{ id fullPath }} ");
            let more: String = (1..groups).map(group).collect();
            let variable = |index: usize| format!(", $g{index}: ID!");
            let variables: String = (1..groups).map(variable).collect();
            for (projects, mark) in MARKS
                .map(|mark| (Projects::ByPath, mark))
                .into_iter()
                .chain([(Projects::None, "")])
            {
                let full = query(projects, groups, mark);
                assert_eq!(
                    full.replace(&more, "").replace(&variables, ""),
                    query(projects, 1, mark)
                );
            }
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_in_the_query() {
        assert_eq!(
            query(Projects::None, 1, MARKS[0]),
            "query($g0: ID!) { g0: group(fullPath: $g0) { id fullPath } }"
        );
        assert!(!query(Projects::ById, 0, MARKS[2]).contains("marked"));
    }
}
