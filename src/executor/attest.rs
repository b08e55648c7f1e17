//! A person's word in the record, bound to the values that it is about. Pure, because `apply` and `confirm` record the
//! same way.

use super::factory::{forget_connection, handed_over};
use crate::model::{
    ApplicationUid, Attestation, AuthorizedUser, Evidence, Known, OperatorStep, RecordedApplication,
    RecordedAuthorization, RecordedConnection, RecordedRepository, RecordedState, RecordedTerms, SecretSource,
    Testimony, UserId,
};

/// What the droid's own page of authorized applications has against an approval, in words; nothing where it lists the
/// application, authorized with the present secret.
pub fn denial(evidence: &Evidence, application: &RecordedApplication, droid: &str) -> Option<String> {
    let name = &application.fields.name;
    match evidence.of(application.id, application.secret_at) {
        Testimony::Authorized(_) => None,
        Testimony::Absent => Some(format!(
            "GitLab does not list `{name}` (id {}) among the applications that `{droid}` authorized: the popup was not \
             approved, or not as `{droid}`",
            application.id
        )),
        Testimony::Outdated(at) => Some(format!(
            "GitLab says that `{droid}` authorized `{name}` last on {}, which was before its secret was renewed: the \
             popup was not approved since, or not as `{droid}`",
            at.strftime("%Y-%m-%d at %H:%M UTC")
        )),
    }
}

/// Records that a step was done.
///
/// `application` is the public id of the application that a step about one means, `secret_fingerprint` that of the
/// secret that was to be typed in, `droid` the id of the droid. Fails, with the reason, where one of these is needed and
/// not known; the record is then as it was.
pub fn attest(
    record: &mut RecordedState,
    step: &OperatorStep,
    attestation: &Attestation,
    application: Option<&ApplicationUid>,
    secret_fingerprint: Option<String>,
    droid: Option<UserId>,
) -> Result<(), String> {
    let attested = Some(attestation.clone());
    let needs_application = || "the application is not known yet".to_owned();
    match step {
        OperatorStep::SetTrusted { trusted, .. } => {
            let application = application.ok_or_else(needs_application)?;
            let recorded = record
                .application
                .as_mut()
                .filter(|recorded| &recorded.uid == application)
                .ok_or_else(|| "the application is not in the record; run `setpoint apply` first".to_owned())?;
            recorded.fields.trusted = Known::Known(*trusted);
            recorded.trusted_attested = attested;
        }
        OperatorStep::AcceptTerms { username: _, version } => {
            let user = (record.user.as_mut()).filter(|user| droid.is_none_or(|droid| droid == user.id));
            user.ok_or_else(|| "the droid's account is not in the record; run `setpoint apply` first".to_owned())?
                .terms = Some(RecordedTerms {
                version: version.clone(),
                id: None,
                attested,
            });
        }
        OperatorStep::SaveConnection { domain, secret, .. } => {
            if let (SecretSource::Fresh, Some(uid), Some(fingerprint)) = (secret, application, &secret_fingerprint) {
                handed_over(record, uid, fingerprint, attestation.at);
            }
            let application = application.ok_or_else(needs_application)?;
            record.connection = Some(RecordedConnection {
                attested,
                ..RecordedConnection::new(domain, application, secret_fingerprint)
            });
        }
        OperatorStep::DeleteConnection => forget_connection(record),
        OperatorStep::Authorize { username } => {
            let connection = record.connection.as_ref();
            let application = application
                .cloned()
                .or_else(|| connection.map(|connection| connection.application.clone()))
                .ok_or_else(needs_application)?;
            let secret_fingerprint =
                secret_fingerprint.or_else(|| connection.and_then(|connection| connection.secret_fingerprint.clone()));
            record.authorization = Some(RecordedAuthorization {
                user: AuthorizedUser {
                    id: droid.ok_or_else(|| "the droid's account is not known yet".to_owned())?,
                    username: username.clone(),
                },
                application,
                secret_fingerprint,
                attested,
            });
        }
        OperatorStep::Approve { .. } => {
            return Err("Factory itself says whether it was approved; `setpoint apply` asks it".to_owned());
        }
        OperatorStep::EnableRepository { id, path } => {
            let path = path.clone();
            record.repositories.insert(*id, RecordedRepository { path, attested });
        }
        OperatorStep::DisableRepository { id, .. } => {
            record.repositories.remove(id);
        }
    }
    Ok(())
}
