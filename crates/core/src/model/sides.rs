//! What a plan is made of: what is desired, what both sides show, already parsed, typed and free of spelling that means
//! nothing, and what was recorded. What each resource is made of is in [`crate::kinds`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Address, ApplicationFields, ApplicationId, ApplicationUid, DesiredConnection, DesiredRepositories, DesiredUser,
    FactoryRepository, FullPath, KeptKey, Known, MembershipFields, ObservedApplication, ObservedIntegration,
    ObservedMembership, ObservedUser, Operation, ProjectId, RecordedApplication, RecordedAuthorization,
    RecordedConnection, RecordedMembership, RecordedRepository, RecordedUser, Role, SourceKind, TermsVersion, UserId,
};

/// Everything that is declared. Only what is declared is owned: nothing else on either side is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The OAuth application in GitLab.
    pub application: ApplicationFields,
    /// The droid user.
    pub user: DesiredUser,
    /// The droid's direct memberships by full path of group or project.
    pub memberships: BTreeMap<FullPath, MembershipFields>,
    /// What is saved in Factory.
    pub connection: DesiredConnection,
    /// What is enabled in Factory.
    pub repositories: DesiredRepositories,
}

/// What both sides show. Fields hold only what was worth reading for the configuration at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// GitLab's side.
    pub gitlab: ObservedGitlab,
    /// Factory's side.
    pub factory: ObservedFactory,
}

/// GitLab's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedGitlab {
    /// The version that answers.
    pub version: GitlabVersion,
    /// The account that Setpoint's own token belongs to; it is never edited, blocked or deleted.
    pub own_user: UserId,
    /// The OAuth scopes that this instance knows (`scopes_supported` of its discovery document); read only where a
    /// scope would have to be set.
    pub supported_scopes: Known<BTreeSet<String>>,
    /// All instance-wide OAuth applications.
    pub applications: Vec<ObservedApplication>,
    /// The droid: the account with the declared username, else one with a previous username.
    pub user: Option<ObservedUser>,
    /// Who holds the declared username where the droid does not.
    pub username_holder: Option<NamespaceKind>,
    /// The username of another account that holds the declared e-mail address.
    pub email_holder: Option<String>,
    /// What the paths of declared memberships lead to.
    pub namespaces: BTreeMap<FullPath, Resolution>,
    /// Paths of declared memberships that another group or project has taken than the one that is recorded there, and
    /// where that one is now; none where it is gone.
    pub displaced: BTreeMap<FullPath, Option<FullPath>>,
    /// The droid's direct memberships, all of them.
    pub memberships: Vec<ObservedMembership>,
    /// Groups that enforce a second factor, at, above or below memberships that are declared and not there yet; not looked
    /// for where the droid has one.
    pub enforcing_groups: BTreeSet<FullPath>,
    /// Whether an account that is made now is an external one, which sees no internal project; asked where the droid has
    /// none yet.
    pub accounts_are_external: Known<bool>,
    /// The key of the droid's authenticator, as far as it is kept.
    pub second_factor_key: KeptKey,
    /// The terms of service that have to be accepted; none where there are none. Unknown where GitLab does not say.
    pub terms: Known<Option<TermsVersion>>,
    /// The droid's role in these projects through a membership of any kind, also of groups that were invited, as GitLab
    /// says; none where it has none. Asked of those of which nothing else tells that it is developer at least.
    pub roles: BTreeMap<ProjectId, Option<Role>>,
    /// What the explicitly listed repository paths lead to, as far as Factory's list has not answered already.
    pub paths: BTreeMap<FullPath, Resolution>,
    /// Projects read from GitLab: those of explicit paths, and candidates of globs.
    pub projects: BTreeMap<ProjectId, ObservedProject>,
    /// What GitLab says of the secret that `application.secret.load` gave.
    pub secret: SecretCheck,
    /// What the droid's own page of authorized applications says.
    pub evidence: Known<Evidence>,
    /// Sign-ins that are configured and not made, because they would do harm or are none that GitLab takes.
    pub closed: ClosedDoors,
}

/// Why nobody signs in, in words that end with the way out; none where nothing is against it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClosedDoors {
    /// As the administrator of `gitlab.admin_session`.
    pub admin: Option<String>,
    /// As the droid, by its password.
    pub droid: Option<String>,
}

/// A version such as `18.5.1-ee`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GitlabVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The version as GitLab spells it.
    pub text: String,
}

/// What a path or name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceKind {
    /// A user's own namespace.
    User,
    /// A group.
    Group,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A group or project that has this very path (case aside).
    Found(SourceKind),
    /// What had the path that was asked for, and moved.
    Moved {
        /// It, by its id.
        source: SourceKind,
        /// Its path now.
        to: FullPath,
    },
    /// Nothing that the administrator's token can see.
    NotFound,
}

/// Who can see a project (GitLab: `lib/gitlab/visibility_level.rb`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Members.
    Private,
    /// Everyone who is signed in, but external users.
    Internal,
    /// Everyone.
    Public,
}

/// A project as GitLab shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedProject {
    /// Id.
    pub id: ProjectId,
    /// Full path now.
    pub path: FullPath,
    /// Read-only by archiving.
    pub archived: bool,
    /// Waiting to be deleted, itself or with a group above it.
    pub pending_deletion: bool,
    /// Whether groups were invited into the project itself.
    pub invited_groups: Known<bool>,
    /// Who can see it.
    pub visibility: Visibility,
}

/// What GitLab says of a stored client secret (token introspection, which changes nothing).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SecretCheck {
    /// No `application.secret.load`, or no application to check it with.
    #[default]
    NotChecked,
    /// `load` gave nothing: there is none yet.
    NoneStored,
    /// GitLab accepts it.
    Accepted {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// GitLab refuses it: someone renewed it, or it is another application's.
    Rejected {
        /// Its fingerprint.
        fingerprint: String,
    },
}

impl SecretCheck {
    /// The fingerprint of the one that GitLab accepts.
    pub(crate) fn accepted(&self) -> Option<&String> {
        match self {
            Self::Accepted { fingerprint } => Some(fingerprint),
            Self::Rejected { .. } | Self::NoneStored | Self::NotChecked => None,
        }
    }
}

/// How far the clocks of GitLab and of this machine may differ, in seconds, before a time of the one says nothing
/// about a time of the other.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// What the droid's "Authorized applications" page says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The applications on it by row id, which no two share as they may share a name. The time is that of the newest
    /// token ("Authorized At"), where it could be read: an exchange of a code or a refresh, each of which takes the
    /// secret that is in force.
    pub authorized: BTreeMap<ApplicationId, Option<Timestamp>>,
}

/// What that page says of one application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Testimony {
    /// It does not list the application.
    Absent,
    /// It lists it with a time before the present secret was given out: what was authorized then is over.
    Outdated(Timestamp),
    /// It lists it.
    Authorized(Option<Timestamp>),
}

impl Evidence {
    /// Of this application, whose present secret was given out at that time, where that is known.
    pub fn of(&self, application: ApplicationId, secret_at: Option<Timestamp>) -> Testimony {
        match (self.authorized.get(&application), secret_at) {
            (None, _) => Testimony::Absent,
            (Some(Some(at)), Some(since)) if since.as_second() - at.as_second() > CLOCK_SKEW_SECONDS => {
                Testimony::Outdated(*at)
            }
            (Some(at), _) => Testimony::Authorized(*at),
        }
    }
}

/// Factory's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedFactory {
    /// Where this knowledge comes from.
    pub source: FactorySource,
    /// The self-hosted GitLab integration, if one is configured.
    pub integration: Option<ObservedIntegration>,
    /// The repositories that the authorized user can see, enabled or not; unknown while nothing is connected.
    /// Attested knowledge lists the enabled ones only.
    pub repositories: Known<BTreeMap<ProjectId, FactoryRepository>>,
}

/// Where knowledge of Factory's side comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorySource {
    /// Factory answered.
    #[default]
    Live,
    /// A person attested it; Factory was not asked.
    Attested,
}

/// The version of the record that this program writes. A higher one is refused, never guessed at.
pub const STATE_VERSION: u32 = 1;

/// The state record. Holds no secret: a fingerprint at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedState {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Goes up with each write.
    pub serial: u64,
    /// Random, made with the record; tells two histories apart.
    pub lineage: String,
    /// Who wrote it.
    pub setpoint_version: String,
    /// Whether it describes the embedded sandbox; such a record is never used for real sides, nor the reverse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    /// The OAuth application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<RecordedApplication>,
    /// Replaced applications that are still to be deleted, by row id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub superseded: BTreeMap<ApplicationId, ApplicationUid>,
    /// Applications of ours that GitLab did not list any more when another was made in their place, by row id. Where one
    /// is listed again, be it that a replica had lagged, it goes the way of those that were replaced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vanished: BTreeMap<ApplicationId, ApplicationUid>,
    /// The droid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<RecordedUser>,
    /// The droid's memberships.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memberships: BTreeMap<FullPath, RecordedMembership>,
    /// What was saved in Factory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<RecordedConnection>,
    /// Whose grant Factory got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<RecordedAuthorization>,
    /// Repositories that were enabled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub repositories: BTreeMap<ProjectId, RecordedRepository>,
    /// Writes that were announced and not yet recorded as done: what a crash leaves behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<Intent>,
}

impl RecordedState {
    /// A record of nothing.
    pub fn empty(lineage: impl Into<String>, setpoint_version: impl Into<String>) -> Self {
        Self {
            version: STATE_VERSION,
            serial: 0,
            lineage: lineage.into(),
            setpoint_version: setpoint_version.into(),
            sandbox: false,
            application: None,
            superseded: BTreeMap::new(),
            vanished: BTreeMap::new(),
            user: None,
            memberships: BTreeMap::new(),
            connection: None,
            authorization: None,
            repositories: BTreeMap::new(),
            intents: Vec::new(),
        }
    }

    /// Whether it remembers no resource and no intent.
    pub fn is_empty(&self) -> bool {
        let nothing = Self {
            version: self.version,
            serial: self.serial,
            sandbox: self.sandbox,
            ..Self::empty(&*self.lineage, &*self.setpoint_version)
        };
        *self == nothing
    }

    /// Whether the application is one of ours that another took the place of, so that it is to be deleted.
    pub fn has_replaced(&self, id: ApplicationId, uid: &ApplicationUid) -> bool {
        self.superseded.get(&id) == Some(uid) || self.vanished.get(&id) == Some(uid)
    }

    /// The intents of one address, oldest first.
    pub fn intents_of<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = &'a Intent> {
        self.intents.iter().filter(move |intent| &intent.address == address)
    }

    /// Whether a run was cut off while it registered an authenticator of the droid's: nobody knows then which key is in
    /// force, nor the recovery codes.
    pub fn second_factor_is_begun(&self) -> bool {
        let mut intents = self.intents_of(&Address::User);
        intents.any(|intent| intent.operation.makes_key())
    }
}

/// A write that was announced. It is recorded before the request goes out and taken out again together with what the
/// answer said, so that one found on start is a write whose end nobody saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The resource.
    pub address: Address,
    /// The write.
    pub operation: Operation,
    /// When it was announced.
    pub at: Timestamp,
    /// For `create_application`: the applications that were there before, so that a new one can be told from them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub applications_before: BTreeSet<ApplicationId>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RecordedState;

    fn record() -> Value {
        json!({
            "version": 1, "serial": 3, "lineage": "l", "setpoint_version": "0.1.0",
            "application": {
                "id": 1, "uid": "u", "name": "n", "redirect_uris": ["https://a.example.com"], "confidential": true,
                "scopes": ["api"], "trusted": false, "secret_fingerprint": "sha256:1",
            },
            "user": {"id": 7, "username": "d", "name": "D", "email": "d@example.com"},
            "memberships": {"a/b": {"source": {"kind": "group", "id": 3}, "role": "developer"}},
            "connection": {"domain": "https://g.example.com", "application": "u", "secret_fingerprint": "sha256:1"},
            "authorization": {"user": {"id": 7, "username": "d"}, "application": "u", "secret_fingerprint": "sha256:1"},
            "repositories": {"9": {"path": "a/b"}},
        })
    }

    #[test]
    fn the_form_of_the_record_stays() {
        let read: RecordedState = serde_json::from_value(record()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), record());
        // What nobody saw is not there.
        let mut seen_less = record();
        let application = seen_less["application"].as_object_mut().unwrap();
        application.remove("scopes");
        application.remove("trusted");
        let read: RecordedState = serde_json::from_value(seen_less.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), seen_less);
    }

    #[test]
    fn a_field_of_a_later_version_is_never_dropped_in_silence() {
        for at in [
            "/application",
            "/user",
            "/memberships/a~1b",
            "/connection",
            "/repositories/9",
        ] {
            let mut newer = record();
            newer.pointer_mut(at).unwrap()["shade"] = json!("green");
            assert!(serde_json::from_value::<RecordedState>(newer).is_err(), "{at}");
        }
    }
}
