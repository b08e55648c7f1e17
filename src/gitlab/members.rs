//! Direct memberships over the API: one read in full, added, changed and taken away.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::api::{GitlabApi, borrowed, members};
use super::write::gone;
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
}

impl Member {
    fn observed(self) -> MembershipFields {
        MembershipFields {
            role: Role::from_access_level(self.access_level),
            expires_at: self.expires_at,
        }
    }
}

/// The answer to an addition of members, where it is no member (GitLab: `lib/api/members.rb`): several at once, or
/// one that waits for an administrator's approval.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Addition {
    status: Option<String>,
    message: Option<Value>,
    queued_users: Option<Value>,
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
    pub(super) async fn member(&self, source: SourceKind, user: UserId) -> Result<Option<MembershipFields>> {
        let request = self.get(&borrowed(&members(source, Some(user))));
        let answer = self.client.send(request).await?;
        if answer.status() == StatusCode::NOT_FOUND && !answer.is_html() {
            return Ok(None);
        }
        Ok(Some(answer.success()?.json::<Member>()?.observed()))
    }

    pub(super) async fn add(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<()> {
        let mut body = body(fields);
        body.insert("user_id".to_owned(), json!(user.0));
        let request = self.post(&borrowed(&members(source, None))).json(&body)?;
        let answer = self.client.send(request).await?;
        if answer.status() == StatusCode::CONFLICT {
            // Somebody else, or an attempt of ours whose answer got lost, was first.
            let there = self.member(source, user).await?;
            return if there == Some(fields) {
                Ok(())
            } else {
                Err(answer.error())
            };
        }
        added(&answer.success()?)
    }

    pub(super) async fn change(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<()> {
        let request = self
            .put(&borrowed(&members(source, Some(user))))
            .json(&body(fields))?
            .repeatable();
        let answer = self.client.call(request).await?;
        let now: Member = answer.json()?;
        if now.observed() == fields {
            Ok(())
        } else {
            Err(answer.unexpected("GitLab took the changed membership and answered another"))
        }
    }

    pub(super) async fn remove(&self, source: SourceKind, user: UserId) -> Result<()> {
        let request = self.delete(&borrowed(&members(source, Some(user)))).repeatable();
        gone(&self.client.send(request).await?)
    }
}

/// An addition can fail with a status of success, or wait for somebody's approval.
fn added(answer: &Response) -> Result<()> {
    let addition: Addition = answer.json()?;
    if addition.status.as_deref() == Some("error") {
        let said = addition.message.map(|message| message.to_string()).unwrap_or_default();
        let message = format!("GitLab did not add the member: {}", RemoteText::new(&said));
        return Err(answer.failed(ErrorKind::Invalid, message));
    }
    if addition.queued_users.is_some() {
        return Err(answer
            .failed(
                ErrorKind::Refused,
                "GitLab queued the membership until an administrator approves it",
            )
            .with_hint("approve it in the Admin Area under Role promotions, then run again"));
    }
    Ok(())
}
