//! GraphQL, for the one thing it does better than REST: many paths, groups as well as projects, in one request.
//!
//! GitLab takes 50 paths in `projects(fullPaths:)` and a complexity of 300 of an administrator (250 of anybody
//! else, 200 where it does not know who asks). A group by alias costs three and the projects fourteen: forty groups fit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::GitlabApi;
use crate::http::{Error, Response, Result};
use crate::model::{FullPath, GroupId, ObservedProject, ProjectId, Visibility};
use crate::secrets::RemoteText;

/// Paths that `projects(fullPaths:)` takes.
pub(super) const PROJECTS: usize = 50;
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
    #[serde(default)]
    marked_for_deletion_on: Option<String>,
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
        let marked = !self.without_deletion_mark.load(Ordering::Relaxed);
        let (answer, body) = self.ask(projects, groups, marked).await?;
        if marked
            && body
                .errors
                .iter()
                .any(|fault| fault.message.as_str().contains("markedForDeletionOn"))
        {
            // The Community Edition has the field since 18, with delayed deletion itself.
            self.without_deletion_mark.store(true, Ordering::Relaxed);
            let (answer, body) = self.ask(projects, groups, false).await?;
            return read(&answer, body, groups);
        }
        read(&answer, body, groups)
    }

    async fn ask(&self, projects: &[&FullPath], groups: &[&FullPath], marked: bool) -> Result<(Response, Answer)> {
        let query = query(!projects.is_empty(), groups.len(), marked);
        let mut variables = Map::new();
        if !projects.is_empty() {
            variables.insert("paths".to_owned(), strings(projects));
        }
        for (index, path) in groups.iter().enumerate() {
            variables.insert(format!("g{index}"), path.as_str().into());
        }
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
fn query(projects: bool, groups: usize, marked: bool) -> String {
    let mut head = Vec::new();
    let mut body = String::new();
    if projects {
        // GitLab compares the types of variables: `[ID!]`, which `group` takes one of, is refused here.
        head.push("$paths: [String!]".to_owned());
        let mark = if marked { " markedForDeletionOn" } else { "" };
        let _ = write!(
            body,
            "projects(fullPaths: $paths) {{ nodes {{ id fullPath visibility archived{mark} }} }} "
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
                pending_deletion: project.marked_for_deletion_on.is_some(),
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
    use super::query;

    #[test]
    fn a_full_query_stays_below_gitlabs_limit_of_characters() {
        let query = query(true, super::GROUPS, true);
        assert!(query.len() < 10_000, "{}", query.len());
        assert!(query.starts_with("query($paths: [String!], $g0: ID!"), "{query}");
    }

    /// Every query that can be sent, with one group for however many. `.ci/run` holds this list against the types that
    /// GitLab declares, and what was sent against the list.
    #[test]
    fn all_queries_are_in_the_list_that_is_judged() {
        let all: Vec<String> = [true, false]
            .into_iter()
            .flat_map(|marked| [(true, 0, marked), (true, 1, marked), (false, 1, marked)])
            .map(|(projects, groups, marked)| query(projects, groups, marked))
            .collect();
        let unique: std::collections::BTreeSet<&str> = all.iter().map(String::as_str).collect();
        let list = unique.into_iter().collect::<Vec<_>>().join("\n\n") + "\n";
        let judged = include_str!("../../tests/conformance/queries.graphql");
        assert_eq!(
            judged, list,
            "write the right side into tests/conformance/queries.graphql"
        );
        for groups in 2..=super::GROUPS {
            let group = |index: usize| format!("g{index}: group(fullPath: $g{index}) {{ id fullPath }} ");
            let more: String = (1..groups).map(group).collect();
            let variable = |index: usize| format!(", $g{index}: ID!");
            let variables: String = (1..groups).map(variable).collect();
            for (projects, marked) in [(true, true), (true, false), (false, true)] {
                let full = query(projects, groups, marked);
                assert_eq!(
                    full.replace(&more, "").replace(&variables, ""),
                    query(projects, 1, marked)
                );
            }
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_in_the_query() {
        assert_eq!(
            query(false, 1, true),
            "query($g0: ID!) { g0: group(fullPath: $g0) { id fullPath } }"
        );
        assert!(!query(true, 0, false).contains("marked"));
    }
}
