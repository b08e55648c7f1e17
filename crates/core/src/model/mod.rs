//! The plain vocabulary that all other modules speak: what is desired, what is observed, what was recorded, and
//! the plan that follows. No I/O, no async, no clock: every value here can be built by hand in a test.

mod address;
mod attestation;
mod caseless;
mod diagnostic;
mod domain;
mod fields;
mod glob;
mod ids;
mod known;
mod operation;
mod outcome;
mod path;
mod pattern;
mod plan;
mod reference;
mod role;
mod sides;
mod window;

pub use crate::kinds::Operation;
pub use crate::kinds::application::{
    ApplicationAttribute, ApplicationEdit, ApplicationFields, ApplicationMatch, ApplicationOperation,
    ObservedApplication, RecordedApplication, identify_application, may_set_scopes,
};
pub use crate::kinds::authorization::{
    AuthorizationOperation, AuthorizedUser, IntegrationStatus, RecordedAuthorization,
};
pub use crate::kinds::connection::{ConnectionOperation, DesiredConnection, ObservedIntegration, RecordedConnection};
pub use crate::kinds::membership::{
    MembershipAttribute, MembershipFields, MembershipOperation, ObservedMembership, RecordedMembership,
};
pub use crate::kinds::repository::{
    DesiredRepositories, FactoryRepository, RecordedRepository, RepositoryOperation, Unlisted,
};
pub use crate::kinds::user::{
    DesiredUser, KeptKey, ObservedUser, RecordedSecondFactor, RecordedTerms, RecordedUser, TermsVersion, UserAttribute,
    UserEdit, UserFields, UserOperation, UserState,
};
pub use address::{Address, Kind, ParseAddressError};
pub use attestation::Attestation;
pub use caseless::Caseless;
pub use diagnostic::Diagnostic;
pub use domain::Domain;
pub use fields::{Edit, Fields};
pub(crate) use fields::{by_name, entry};
pub use ids::{ApplicationId, ApplicationUid, GroupId, ProjectId, UserId};
pub use known::Known;
pub use operation::OperatorStep;
pub use outcome::{ApplyReport, ApproveAt, ChangeOutcome, Outcome, OutcomeSummary};
pub use path::{FullPath, PathFault};
pub use pattern::{PathPattern, PatternError};
pub use plan::{
    Actions, Allowances, Attested, AttributeChange, Change, Command, Corroboration, Ender, Fallback, Guards,
    Interruption, Origin, Plan, PlanSummary, Policy, Reason, Seen, Status, Warning, WarningCode,
};
pub use reference::{ApplicationRef, MemberRef, SecretSource, SignIn, SourceKind, UserRef};
pub use role::{ParseRoleError, Role};
pub use sides::{
    ClosedDoors, Desired, Evidence, FactorySource, GitlabVersion, Intent, NamespaceKind, Observed, ObservedFactory,
    ObservedGitlab, ObservedProject, RecordedState, Resolution, STATE_VERSION, SecretCheck, Testimony, Visibility,
};
pub use window::{ChangeWindow, Day, WindowStatus};
