//! The plain vocabulary that all other modules speak: what is desired, what is observed, what was recorded, and
//! the plan that follows. No I/O, no async, no clock: every value here can be built by hand in a test.

mod address;
mod desired;
mod glob;
mod identity;
mod ids;
mod known;
mod observed;
mod operation;
mod outcome;
mod path;
mod plan;
mod recorded;
mod role;
mod window;

pub use address::{Address, Kind, ParseAddressError};
pub use desired::{
    Desired, DesiredApplication, DesiredConnection, DesiredRepositories, DesiredUser, PathPattern, PatternError,
    Unlisted,
};
pub use identity::{ApplicationMatch, identify_application};
pub use ids::{ApplicationId, ApplicationUid, GroupId, ProjectId, UserId};
pub use known::Known;
pub use observed::{
    Attestation, AuthorizedUser, Evidence, FactoryRepository, FactorySource, GitlabVersion, IntegrationStatus,
    NamespaceKind, Observed, ObservedApplication, ObservedFactory, ObservedGitlab, ObservedIntegration,
    ObservedMembership, ObservedProject, ObservedUser, Resolution, SecretCheck, SourceKind, Testimony, UserState,
    Visibility,
};
pub use operation::{
    ApplicationEdit, ApplicationOperation, ApplicationRef, AuthorizationOperation, ConnectionOperation, MemberRef,
    MembershipOperation, Operation, OperatorStep, RepositoryOperation, SecretSource, SignIn, UserEdit, UserOperation,
    UserRef,
};
pub use outcome::{ApplyReport, ChangeOutcome, Outcome, OutcomeSummary};
pub use path::FullPath;
pub use plan::{
    Actions, Allowances, Attested, AttributeChange, Change, Command, Corroboration, Guards, Origin, Plan, PlanSummary,
    Policy, Reason, Refusal, Status, Warning, WarningCode,
};
pub use recorded::{
    Intent, RecordedApplication, RecordedAuthorization, RecordedConnection, RecordedMembership, RecordedRepository,
    RecordedState, RecordedUser, STATE_VERSION,
};
pub use role::{ParseRoleError, Role};
pub use window::{ChangeWindow, Day, WindowStatus};
