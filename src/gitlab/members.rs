//! Direct memberships over the API: one read in full, added, changed and taken away.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::api::{GitlabApi, members};
use super::errors::gone;
use super::{Granted, Membership};
use crate::http::{ErrorKind, Response, Result, StatusCode};
use crate::model::{MembershipFields, Role, SourceKind, UserId};
use crate::secrets::RemoteText;

/// A member (GitLab: lib/api/entities/member.rb).
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    access_level: u64,
    /// A day; an older GitLab may add a time of that day.
    #[serde(default, deserialize_with = "day")]
    expires_at: Option<Date>,
    /// `active`, or `awaiting` an administrator's approval; the Enterprise Edition has it.
    #[serde(default)]
    membership_state: Option<String>,
    #[serde(default, rename = "member_role")]
    custom_role: Option<CustomRole>,
}

/// A custom role (GitLab: `ee/lib/ee/api/entities/member_role.rb`).
#[derive(Debug, Deserialize)]
struct CustomRole {
    name: RemoteText,
}

impl Member {
    fn fields(&self) -> MembershipFields {
        MembershipFields {
            role: Role::from_access_level(self.access_level),
            expires_at: self.expires_at,
        }
    }

    fn awaits_approval(&self) -> bool {
        self.membership_state.as_deref() == Some("awaiting")
    }

    /// The membership, unless it is none yet.
    pub(super) fn live(self) -> Option<Membership> {
        (!self.awaits_approval()).then(|| Membership {
            fields: self.fields(),
            custom_role: self.custom_role.map(|role| role.name),
        })
    }
}

/// What a write sends.
fn body(fields: MembershipFields) -> Map<String, Value> {
    let MembershipFields { role, expires_at } = fields;
    // GitLab takes an empty text for no end.
    let end = expires_at.map_or_else(String::new, |day| day.to_string());
    Map::from_iter([
        ("access_level".to_owned(), json!(role.access_level())),
        ("expires_at".to_owned(), json!(end)),
    ])
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let day = |text: String| text.chars().take(10).collect::<String>().parse();
    text.map(day).transpose().map_err(serde::de::Error::custom)
}

impl GitlabApi {
    pub(super) async fn member(&self, source: SourceKind, user: UserId) -> Result<Option<Member>> {
        self.member_in(&members(source, Some(user))).await
    }

    /// A member as its own path shows it.
    pub(super) async fn member_in(&self, path: &[String]) -> Result<Option<Member>> {
        self.find(self.get(path)).await
    }

    pub(super) async fn add(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted> {
        let mut body = body(fields);
        body.insert("user_id".to_owned(), json!(user.0));
        let request = self.post(&members(source, None)).json(&body)?;
        let answer = self.client.send(request).await?;
        if answer.status() == StatusCode::CONFLICT {
            // Somebody else, or an attempt of ours whose answer got lost, was first.
            return match self.member(source, user).await? {
                Some(there) if there.fields() == fields => Ok(granted(&there)),
                Some(_) | None => Err(answer.error()),
            };
        }
        let answer = answer.success()?;
        if is_queued(&answer) {
            return Ok(Granted::AwaitsApproval);
        }
        not_refused(&answer)?;
        Ok(granted(&answer.json()?))
    }

    pub(super) async fn change(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted> {
        let request = self.put(&members(source, Some(user))).json(&body(fields))?.repeatable();
        let answer = self.client.send(request).await?;
        if has_custom_role(&answer) {
            return Err(answer.error().with_hint(
                "The droid has a custom role there, which Setpoint neither gives nor takes away: declare the role that it is \
                 based on, or give the droid one of GitLab's own roles on that page of members.",
            ));
        }
        let answer = answer.success()?;
        if is_queued(&answer) {
            return Ok(Granted::AwaitsApproval);
        }
        let now: Member = answer.json()?;
        if now.fields() == fields {
            Ok(granted(&now))
        } else {
            Err(answer.unexpected("GitLab took the changed membership and answered another"))
        }
    }

    /// Removes this membership and no other: without being asked not to, GitLab takes those in the subgroups and projects of
    /// a group along (GitLab: `doc/api/group_members.md`, `skip_subresources`).
    pub(super) async fn remove(&self, source: SourceKind, user: UserId) -> Result<()> {
        let request = self.delete(&members(source, Some(user)));
        let request = request.query([("skip_subresources", "true")]).repeatable();
        gone(&self.client.send(request).await?)
    }
}

/// Whether an administrator has to approve it first: 202, with a sentence by username in place of a member (GitLab:
/// `ee/lib/ee/api/helpers/members_helpers.rb`).
fn is_queued(answer: &Response) -> bool {
    answer.status() == StatusCode::ACCEPTED
}

/// Whether the role stays because a custom one is based on it. What a change does not name it keeps, so that another end
/// leaves the custom role as it is (GitLab: `ee/app/models/concerns/member_roles/member_role_relation.rb`).
fn has_custom_role(answer: &Response) -> bool {
    let said = answer.said().text;
    answer.status() == StatusCode::BAD_REQUEST && said.is_some_and(|said| said.as_str().contains("custom role"))
}

/// An addition can fail with a status of success (GitLab: `lib/api/members.rb`).
fn not_refused(answer: &Response) -> Result<()> {
    #[derive(Deserialize)]
    struct Refusal {
        status: Option<String>,
        message: Option<Value>,
    }
    match answer.json() {
        Ok(Refusal {
            status: Some(status),
            message,
        }) if status == "error" => {
            let said = message.map(|message| message.to_string()).unwrap_or_default();
            let message = format!("GitLab did not add the member: {}", RemoteText::new(&said));
            Err(answer.failed(ErrorKind::Invalid, message))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn granted(member: &Member) -> Granted {
    if member.awaits_approval() {
        Granted::AwaitsApproval
    } else {
        Granted::Now
    }
}
