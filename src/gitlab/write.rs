//! GitLab's API written: [`GitlabWrite`]. A write whose repetition would do harm is sent once; what became of it, when
//! its answer is lost, is for the caller to look up.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::api::GitlabApi;
use super::errors::gone;
use super::{GitlabRead as _, GitlabWrite, Granted, wire};
use crate::diff::recorded_values;
use crate::http::{Error, ErrorKind, Request, Response, Result, StatusCode};
use crate::model::{
    ApplicationFields, ApplicationId, ApplicationUid, MembershipFields, ObservedApplication, ObservedUser, SourceKind,
    UserAttribute, UserEdit, UserFields, UserId,
};
use crate::secrets::Secret;

#[async_trait]
impl GitlabWrite for GitlabApi {
    async fn create_application(&self, application: &ApplicationFields) -> Result<(ObservedApplication, Secret)> {
        let ApplicationFields {
            name,
            redirect_uris,
            confidential,
            scopes,
            trusted: _,
        } = application;
        let join = |set: &BTreeSet<String>, with: &str| set.iter().map(String::as_str).collect::<Vec<_>>().join(with);
        let body = json!({
            "name": name,
            "redirect_uri": join(redirect_uris, "\n"),
            "scopes": scopes.as_ref().known().map(|scopes| join(scopes, " ")),
            "confidential": confidential,
        });
        let answer = self.client.call(self.post(&["applications"]).json(&body)?).await?;
        let mut created: wire::Application = answer.json()?;
        let secret = shown_secret(&answer, created.secret.take())?;
        Ok((created.observed(), secret))
    }

    async fn renew_secret(&self, id: ApplicationId) -> Result<Secret> {
        let request = self.post(&["applications", &id.to_string(), "renew-secret"]);
        let answer = self.client.call(request.json(&json!({}))?).await?;
        let mut renewed: wire::Application = answer.json()?;
        shown_secret(&answer, renewed.secret.take())
    }

    async fn delete_application(&self, id: ApplicationId, uid: &ApplicationUid) -> Result<()> {
        let request = self.delete(&["applications", &id.to_string()]);
        let Some(there) = self.applications().await?.into_iter().find(|there| there.id == id) else {
            return Ok(());
        };
        if there.uid != *uid {
            let message = format!(
                "refused to delete application {id}: it is not the one that was recorded, which had the application ID {uid}"
            );
            return Err(Error::new(
                self.client.side(),
                ErrorKind::Refused,
                request.label(),
                message,
            ));
        }
        gone(&self.client.send(request.repeatable()).await?)
    }

    async fn create_user(&self, user: &UserFields, password: Option<&Secret>) -> Result<ObservedUser> {
        let mut body = recorded_values(user);
        body.insert("skip_confirmation".to_owned(), Value::from(true));
        match password {
            Some(password) => body.insert("password".to_owned(), Value::from(password.expose())),
            None => body.insert("force_random_password".to_owned(), Value::from(true)),
        };
        let answer = self.client.send(self.post(&["users"]).json(&body)?).await?;
        // An earlier attempt may have gone through after all: of this run, behind a proxy that limits rates, or of one that
        // was killed before it had its answer.
        if answer.status() == StatusCode::CONFLICT
            && let Some(there) = self.user(&user.username).await?
            && there.fields.email == user.email
        {
            return Ok(there);
        }
        self.observed_user(&answer.success()?)
    }

    async fn edit_user(&self, id: UserId, edit: &UserEdit) -> Result<ObservedUser> {
        let mut body = edit.values();
        if edit.has(|attribute| matches!(attribute, UserAttribute::Email(_))) {
            body.insert("skip_reconfirmation".to_owned(), Value::from(true));
        }
        let request = self.put(&["users", &id.to_string()]).json(&body)?.repeatable();
        self.observed_user(&self.client.call(request).await?)
    }

    async fn unblock_user(&self, id: UserId) -> Result<()> {
        self.change_state(id, "unblock").await
    }

    async fn approve_user(&self, id: UserId) -> Result<()> {
        // The second time it is refused with 409, unlike its like: so it is not repeated.
        state_changed(&self.client.send(self.state_change(id, "approve")?).await?, "approve")
    }

    async fn activate_user(&self, id: UserId) -> Result<()> {
        self.change_state(id, "activate").await
    }

    async fn disable_second_factor(&self, id: UserId) -> Result<()> {
        // The second time it is refused with 400: so it is not repeated.
        let request = self.patch(&["users", &id.to_string(), "disable_two_factor"]);
        self.client.send(request).await?.exactly(StatusCode::NO_CONTENT)
    }

    async fn block_user(&self, id: UserId) -> Result<()> {
        self.change_state(id, "block").await
    }

    async fn delete_user(&self, id: UserId) -> Result<()> {
        let request = self.delete(&["users", &id.to_string()]).repeatable();
        gone(&self.client.send(request).await?)
    }

    async fn add_member(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted> {
        self.add(source, user, fields).await
    }

    async fn edit_member(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted> {
        self.change(source, user, fields).await
    }

    async fn remove_member(&self, source: SourceKind, user: UserId) -> Result<()> {
        self.remove(source, user).await
    }
}

impl GitlabApi {
    /// `POST /users/:id/unblock` and its like do nothing the second time. The JSON body keeps a read-only
    /// instance from answering with a redirect.
    async fn change_state(&self, id: UserId, verb: &str) -> Result<()> {
        let request = self.state_change(id, verb)?.repeatable();
        state_changed(&self.client.send(request).await?, verb)
    }

    fn state_change(&self, id: UserId, verb: &str) -> Result<Request> {
        self.post(&["users", &id.to_string(), verb]).json(&json!({}))
    }

    fn observed_user(&self, answer: &Response) -> Result<ObservedUser> {
        answer.json::<wire::User>()?.observed().ok_or_else(|| {
            answer.unexpected(format!(
                "{} answered a user without its e-mail address",
                self.client.side()
            ))
        })
    }
}

/// A change of an account's state is answered 201 and a word: `false` where nothing was changed (GitLab:
/// `lib/api/users.rb`, `user.activate` and its like, which fail on a row that does not pass GitLab's own checks).
fn state_changed(answer: &Response, verb: &str) -> Result<()> {
    answer.exactly(StatusCode::CREATED)?;
    if matches!(answer.json(), Ok(Value::Bool(false))) {
        return Err(answer
            .failed(
                ErrorKind::Refused,
                format!("GitLab did not {verb} the account, and does not say why"),
            )
            .with_hint(
                "edit and save the account in the Admin area under Users: there GitLab says what it does not accept of it",
            ));
    }
    Ok(())
}

/// The secret that GitLab shows once.
fn shown_secret(answer: &Response, secret: Option<String>) -> Result<Secret> {
    secret
        .filter(|secret| !secret.is_empty())
        .map(Secret::new)
        .ok_or_else(|| {
            answer
                .unexpected("GitLab did not show the application's secret, which it does at this moment only")
                .with_hint("run `setpoint rotate` for a new one")
        })
}
