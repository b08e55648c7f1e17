//! The writes that a plan consists of. Each holds everything its execution needs, but secrets and what an earlier
//! write of the same plan brings into being; so a plan can be saved, shown and carried out elsewhere.

use serde::{Deserialize, Serialize};

use super::{ApplicationId, ApplicationUid, DesiredApplication, FullPath, ProjectId, Role, SourceKind, UserId};

/// A write to one of the two sides, by the kind of resource that it changes. In the record and in saved plans the kind
/// is not spelled out: the word under `do` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a write that this version of Setpoint knows")]
pub enum Operation {
    /// Of `gitlab.application`.
    Application(ApplicationOperation),
    /// Of `gitlab.user`.
    User(UserOperation),
    /// Of `gitlab.membership`.
    Membership(MembershipOperation),
    /// Of `factory.connection`.
    Connection(ConnectionOperation),
    /// Of `factory.authorization`.
    Authorization(AuthorizationOperation),
    /// Of `factory.repository`.
    Repository(RepositoryOperation),
}

impl Operation {
    /// Whether it is a write of the same sort, whatever its values.
    pub fn is_like(&self, other: &Self) -> bool {
        use std::mem::discriminant;
        match (self, other) {
            (Self::Application(one), Self::Application(other)) => discriminant(one) == discriminant(other),
            (Self::User(one), Self::User(other)) => discriminant(one) == discriminant(other),
            (Self::Membership(one), Self::Membership(other)) => discriminant(one) == discriminant(other),
            (Self::Connection(one), Self::Connection(other)) => discriminant(one) == discriminant(other),
            (Self::Authorization(one), Self::Authorization(other)) => discriminant(one) == discriminant(other),
            (Self::Repository(one), Self::Repository(other)) => discriminant(one) == discriminant(other),
            (
                Self::Application(_)
                | Self::User(_)
                | Self::Membership(_)
                | Self::Connection(_)
                | Self::Authorization(_)
                | Self::Repository(_),
                _,
            ) => false,
        }
    }

    /// Whether GitLab answers it with a secret, which it shows at no other time.
    pub fn makes_secret(&self) -> bool {
        match self {
            Self::Application(operation) => match operation {
                ApplicationOperation::Create { .. } | ApplicationOperation::RenewSecret { .. } => true,
                ApplicationOperation::Edit { .. } | ApplicationOperation::Delete { .. } => false,
            },
            Self::User(_)
            | Self::Membership(_)
            | Self::Connection(_)
            | Self::Authorization(_)
            | Self::Repository(_) => false,
        }
    }

    /// Whether it takes the droid's password.
    pub fn needs_droid_password(&self) -> bool {
        match self {
            Self::User(operation) => operation.user().is_none(),
            Self::Authorization(AuthorizationOperation::Authorize { sign_in, .. }) => match sign_in {
                SignIn::Password => true,
                SignIn::Impersonate => false,
            },
            Self::Application(_) | Self::Membership(_) | Self::Connection(_) | Self::Repository(_) => false,
        }
    }

    /// The application that it creates.
    pub fn created_application(&self) -> Option<&DesiredApplication> {
        match self {
            Self::Application(ApplicationOperation::Create { application }) => Some(application),
            Self::Application(
                ApplicationOperation::Edit { .. }
                | ApplicationOperation::RenewSecret { .. }
                | ApplicationOperation::Delete { .. },
            )
            | Self::User(_)
            | Self::Membership(_)
            | Self::Connection(_)
            | Self::Authorization(_)
            | Self::Repository(_) => None,
        }
    }

    /// The application that it deletes.
    pub fn deleted_application(&self) -> Option<(ApplicationId, &ApplicationUid)> {
        match self {
            Self::Application(ApplicationOperation::Delete { id, uid }) => Some((*id, uid)),
            Self::Application(
                ApplicationOperation::Create { .. }
                | ApplicationOperation::Edit { .. }
                | ApplicationOperation::RenewSecret { .. },
            )
            | Self::User(_)
            | Self::Membership(_)
            | Self::Connection(_)
            | Self::Authorization(_)
            | Self::Repository(_) => None,
        }
    }
}

/// A write to the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum ApplicationOperation {
    /// Creates it over the API, which answers the secret, once. Trusted is not part of it: GitLab's API drops it
    /// without a word.
    #[serde(rename = "create_application")]
    Create {
        /// What to create.
        application: DesiredApplication,
    },
    /// Edits it in place through the admin form.
    #[serde(rename = "edit_application")]
    Edit {
        /// Which.
        application: ApplicationRef,
        /// The fields that change.
        edit: ApplicationEdit,
    },
    /// Renews its secret over the API, which answers it, once.
    #[serde(rename = "renew_secret")]
    RenewSecret {
        /// Whose.
        application: ApplicationRef,
    },
    /// Deletes it, with all its grants and tokens. In a replacement it is the last write of the plan.
    #[serde(rename = "delete_application")]
    Delete {
        /// Row id.
        id: ApplicationId,
        /// Public id: verified before it is deleted.
        uid: ApplicationUid,
    },
}

/// A write to the droid's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum UserOperation {
    /// Creates it, with the password of the configuration, or a random one that nobody knows.
    #[serde(rename = "create_user")]
    Create {
        /// Username.
        username: String,
        /// Display name.
        name: String,
        /// E-mail address, taken as confirmed.
        email: String,
    },
    /// Edits it. Never its password: an administrator's change would expire it.
    #[serde(rename = "edit_user")]
    Edit {
        /// Whom.
        id: UserId,
        /// The fields that change.
        edit: UserEdit,
    },
    /// Lifts a block.
    #[serde(rename = "unblock_user")]
    Unblock {
        /// Whom.
        id: UserId,
    },
    /// Ends a deactivation.
    #[serde(rename = "activate_user")]
    Activate {
        /// Whom.
        id: UserId,
    },
    /// Blocks it (`destroy --block-user`).
    #[serde(rename = "block_user")]
    Block {
        /// Whom.
        id: UserId,
    },
    /// Deletes it; its contributions go to GitLab's ghost user (`destroy --delete-user`).
    #[serde(rename = "delete_user")]
    Delete {
        /// Whom.
        id: UserId,
    },
}

impl UserOperation {
    /// The account, where it is there already.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Create { .. } => None,
            Self::Edit { id, .. }
            | Self::Unblock { id }
            | Self::Activate { id }
            | Self::Block { id }
            | Self::Delete { id } => Some(*id),
        }
    }
}

/// A write to one of the droid's direct memberships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum MembershipOperation {
    /// Adds the droid as a member.
    #[serde(rename = "add_member")]
    Add {
        /// Where.
        member: MemberRef,
        /// As what.
        role: Role,
    },
    /// Changes its direct role.
    #[serde(rename = "edit_member")]
    Edit {
        /// Where.
        member: MemberRef,
        /// To what.
        role: Role,
    },
    /// Takes the membership away.
    #[serde(rename = "remove_member")]
    Remove {
        /// Where.
        member: MemberRef,
    },
}

impl MembershipOperation {
    /// Where, and whose.
    pub fn member(&self) -> &MemberRef {
        match self {
            Self::Add { member, .. } | Self::Edit { member, .. } | Self::Remove { member } => member,
        }
    }
}

/// A write to Factory's connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum ConnectionOperation {
    /// Saves domain, application id and secret.
    #[serde(rename = "save_connection")]
    Save {
        /// The external URL.
        domain: String,
        /// The application.
        application: ApplicationRef,
        /// Where the secret comes from.
        secret: SecretSource,
    },
    /// Disconnects.
    #[serde(rename = "delete_connection")]
    Delete,
}

/// A write to Factory's authorization. It ends with the connection, so nothing deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum AuthorizationOperation {
    /// Goes through OAuth as the droid.
    #[serde(rename = "authorize")]
    Authorize {
        /// The username that Factory must be connected as afterwards.
        username: String,
        /// How the droid's GitLab session is had.
        sign_in: SignIn,
        /// The application that is approved, and no other. The records of versions before 0.2 do not name it.
        #[serde(default)]
        application: ApplicationRef,
        /// What it may be allowed: the declared scopes.
        #[serde(default)]
        scopes: std::collections::BTreeSet<String>,
        /// Where GitLab may send the browser back to.
        redirect_uris: std::collections::BTreeSet<String>,
    },
}

/// A write to Factory's selection of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum RepositoryOperation {
    /// Enables one.
    #[serde(rename = "enable_repository")]
    Enable {
        /// Its project.
        id: ProjectId,
    },
    /// Disables one.
    #[serde(rename = "disable_repository")]
    Disable {
        /// Its project.
        id: ProjectId,
    },
}

impl RepositoryOperation {
    /// Its project.
    pub fn id(self) -> ProjectId {
        match self {
            Self::Enable { id } | Self::Disable { id } => id,
        }
    }
}

/// An application that is there, or the one that this plan creates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationRef {
    /// It is there.
    Existing {
        /// Row id.
        id: ApplicationId,
        /// Public id.
        uid: ApplicationUid,
    },
    /// This plan creates it.
    #[default]
    Planned,
}

/// A user that is there, or the one that this plan creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRef {
    /// It is there.
    Existing(UserId),
    /// This plan creates it.
    Planned,
}

/// Where a membership is, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRef {
    /// Group or project.
    pub source: SourceKind,
    /// Its path, for people.
    pub path: FullPath,
    /// The droid.
    pub user: UserRef,
}

/// The fields of an application that change; none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationEdit {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Redirect URIs, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<std::collections::BTreeSet<String>>,
    /// Trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// Confidential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidential: Option<bool>,
    /// Scopes, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<std::collections::BTreeSet<String>>,
}

/// The fields of the droid that change; none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEdit {
    /// Username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address, without a confirmation that would stay pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Where the secret for Factory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// GitLab's answer to the creation or renewal in this very plan.
    Fresh,
    /// `application.secret.load`.
    Loaded,
}

/// How the droid's GitLab session is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignIn {
    /// Through the sign-in form, with its password and, where asked, a TOTP code.
    Password,
    /// From the administrator's web session.
    Impersonate,
}

/// Something that a person has to do, because no interface lets a program do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum OperatorStep {
    /// Tick or untick "Trusted" in GitLab's admin area.
    SetTrusted {
        /// The application.
        application: ApplicationRef,
        /// Its name, to find it by.
        name: String,
        /// Ticked or not.
        trusted: bool,
    },
    /// Save the three values on Factory's settings page.
    SaveConnection {
        /// The external URL.
        domain: String,
        /// The application.
        application: ApplicationRef,
        /// Where the secret comes from.
        secret: SecretSource,
    },
    /// Disconnect on Factory's settings page.
    DeleteConnection,
    /// Approve the popup while signed in to GitLab as the droid.
    Authorize {
        /// The droid.
        username: String,
    },
    /// Enable a repository in Factory's selection.
    EnableRepository {
        /// Its project.
        id: ProjectId,
        /// Its path.
        path: FullPath,
    },
    /// Disable a repository in Factory's selection.
    DisableRepository {
        /// Its project.
        id: ProjectId,
        /// Its path.
        path: FullPath,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Operation;

    /// What the record and saved plans say of each write.
    fn forms() -> Vec<Value> {
        let existing = json!({"existing": {"id": 1, "uid": "u"}});
        let member = json!({"source": {"kind": "group", "id": 3}, "path": "a/b", "user": "planned"});
        let application = json!({
            "name": "n", "redirect_uris": ["https://a.example.com"], "trusted": true, "confidential": true, "scopes": ["api"]
        });
        vec![
            json!({"do": "create_application", "application": application}),
            json!({"do": "edit_application", "application": existing, "edit": {"name": "m", "trusted": false}}),
            json!({"do": "renew_secret", "application": "planned"}),
            json!({"do": "delete_application", "id": 1, "uid": "u"}),
            json!({"do": "create_user", "username": "d", "name": "D", "email": "d@example.com"}),
            json!({"do": "edit_user", "id": 7, "edit": {"email": "e@example.com"}}),
            json!({"do": "unblock_user", "id": 7}),
            json!({"do": "activate_user", "id": 7}),
            json!({"do": "block_user", "id": 7}),
            json!({"do": "delete_user", "id": 7}),
            json!({"do": "add_member", "member": member, "role": "developer"}),
            json!({"do": "edit_member", "member": member, "role": "owner"}),
            json!({"do": "remove_member", "member": member}),
            json!({"do": "save_connection", "domain": "https://g.example.com", "application": "planned", "secret": "fresh"}),
            json!({"do": "delete_connection"}),
            json!({
                "do": "authorize", "username": "d", "sign_in": "password", "application": "planned", "scopes": ["api"],
                "redirect_uris": ["https://a.example.com"],
            }),
            json!({"do": "enable_repository", "id": 9}),
            json!({"do": "disable_repository", "id": 9}),
        ]
    }

    #[test]
    fn the_form_of_each_write_stays() {
        for form in forms() {
            let operation: Operation = serde_json::from_value(form.clone()).unwrap();
            assert_eq!(serde_json::to_value(&operation).unwrap(), form);
        }
    }

    #[test]
    fn an_authorization_that_an_older_version_began_is_read() {
        let form = json!({"do": "authorize", "username": "d", "sign_in": "password", "redirect_uris": []});
        assert!(serde_json::from_value::<Operation>(form).is_ok());
    }

    #[test]
    fn each_write_is_like_itself_and_no_other() {
        let all: Vec<Operation> = forms()
            .into_iter()
            .map(|form| serde_json::from_value(form).unwrap())
            .collect();
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(one.is_like(other), at == other_at, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn an_unknown_write_is_said_to_be_one() {
        let error = serde_json::from_value::<Operation>(json!({"do": "paint_it_green"})).unwrap_err();
        assert_eq!(error.to_string(), "a write that this version of Setpoint knows");
    }
}
