//! Reads both sides at once into what the planner takes, with no more requests than the answer needs.
//!
//! Everything that waits for nothing is asked at the same time; each further question starts as soon as what it
//! follows from is there, not when everything else is. The longest chain of a converged world is Factory's list of
//! repositories, a page after the other.

mod account;
mod application;
mod repositories;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::try_join_all;

use crate::factory::FactoryRead;
use crate::gitlab::{
    AdminRead, Door, Doorkeeper, DroidSession, EndSession, GitlabRead, Harm, Membership, ResolvedPaths,
};
use crate::http::{ErrorKind, Result, Side};
use crate::model::{
    ClosedDoors, Desired, Evidence, FactorySource, FullPath, IntegrationStatus, KeptKey, Known, Observed,
    ObservedFactory, ObservedGitlab, ObservedIntegration, ObservedMembership, RecordedState, Resolution, SourceKind,
};
use crate::secrets::Secret;

use account::Account;

pub struct Sources<'a> {
    pub gitlab: &'a dyn GitlabRead,
    /// The administrator's web session, where there is one.
    pub admin: Option<&'a dyn AdminRead>,
    /// The droid's own web session, for the evidence of attested authorizations.
    pub droid: Option<&'a dyn DroidSession>,
    /// Factory, or what was attested about it.
    pub factory: &'a dyn FactoryRead,
    /// What `application.secret.load` gave.
    pub loaded_secret: LoadedSecret,
    /// The key that `user.totp.load` gave.
    pub kept_key: LoadedSecret,
    /// The sign-ins that are configured.
    pub doors: Doors<'a>,
    /// What signs out as soon as no session is needed any more; none where they stay open for what follows.
    pub sign_out: Option<&'a dyn EndSession>,
}

/// The sign-ins that are configured, and who says whether they may be made.
pub struct Doors<'a> {
    pub keeper: &'a dyn Doorkeeper,
    pub admin: Option<Door>,
    /// As the droid, by its password.
    pub droid: Option<Door>,
}

impl Doors<'_> {
    /// Which of them stay closed. Asked before anybody signs in, so that a plan knows it also where it needs no session.
    pub async fn closed(&self) -> Result<ClosedDoors> {
        let (admin, droid) = tokio::try_join!(
            self.why_closed(self.admin.as_ref()),
            self.why_closed(self.droid.as_ref())
        )?;
        Ok(ClosedDoors { admin, droid })
    }

    async fn why_closed(&self, door: Option<&Door>) -> Result<Option<String>> {
        let Some(door) = door else {
            return Ok(None);
        };
        match self.keeper.harm(door).await {
            Ok(harm) => Ok(harm.map(|Harm { message, way_out }| format!("{message}; {way_out}"))),
            // Where GitLab does not say whether a sign-in does harm, nobody knows that it does none.
            Err(error) if error.kind == ErrorKind::Forbidden => Ok(Some(format!(
                "nobody signs in as {}, because GitLab does not say whether that is safe: {}",
                door.username, error.message
            ))),
            Err(error) => Err(error),
        }
    }
}

/// What `application.secret.load` gave.
#[derive(Debug, Clone, Default)]
pub enum LoadedSecret {
    /// It is not configured.
    #[default]
    NotConfigured,
    /// It gave nothing: there is no secret yet.
    Nothing,
    Secret(Secret),
}

/// Reads both sides.
///
/// Many requests are under way at once, and which of them fails first is chance. Where GitLab answered, the plainest
/// request of all is made once more, so that a wrong token or a wrong address is told in the same words each time.
pub async fn observe(sources: &Sources<'_>, desired: &Desired, recorded: &RecordedState) -> Result<Observed> {
    let failed = match Box::pin(read(sources, desired, recorded)).await {
        Ok(observed) => return Ok(observed),
        Err(error) => error,
    };
    let answered = matches!(
        failed.kind,
        ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Redirect
            | ErrorKind::Status(_)
            | ErrorKind::Unexpected
    );
    if failed.side == Side::Gitlab && answered {
        sources.gitlab.version().await?;
    }
    Err(failed)
}

#[expect(
    clippy::too_many_lines,
    reason = "what is read at once, and what waits for what, is seen in one place"
)]
async fn read(sources: &Sources<'_>, desired: &Desired, recorded: &RecordedState) -> Result<Observed> {
    let Sources {
        gitlab,
        admin: _,
        droid: _,
        factory,
        loaded_secret: _,
        kept_key,
        doors,
        sign_out,
    } = sources;
    let closed = doors.closed().boxed().shared();
    let integration = factory.integration().boxed().shared();
    let account = account::read(*gitlab, desired).boxed().shared();
    let namespaces = resolve_memberships(*gitlab, desired, recorded).boxed().shared();
    let by_id = repositories::by_id(*gitlab, desired, recorded).boxed().shared();
    let list = list_repositories(*factory, desired, recorded, integration.clone());
    let listed = application::list(sources, desired, recorded, integration.clone());
    let listed = listed.boxed().shared();
    let page = application::admin_page(sources, recorded, listed.clone(), closed.clone());
    let page = page.boxed().shared();
    let application = application::read(sources, desired, recorded, listed.clone(), page.clone());
    let terms = gitlab.terms();
    let enforcing_groups = async {
        // Whoever gets an authenticator need not be warned.
        if desired.user.second_factor {
            return Ok(BTreeSet::new());
        }
        let (account, namespaces) = tokio::try_join!(account.clone(), namespaces.clone())?;
        enforcing_groups(*gitlab, &account, &namespaces.resolved.paths).await
    };
    let repositories = async {
        let (list, integration, account, namespaces, by_id) = tokio::try_join!(
            list,
            integration.clone(),
            account.clone(),
            namespaces.clone(),
            by_id.clone()
        )?;
        let known = repositories::Known {
            source: factory.source(),
            list: &list,
            integration: integration.as_ref(),
            account: &account,
            recorded,
            namespaces: &namespaces.resolved.paths,
            by_id: &by_id,
        };
        let found = repositories::read(*gitlab, desired, &known).await?;
        Ok((list, found))
    };
    let evidence = async {
        let (integration, account, closed) = tokio::try_join!(integration.clone(), account.clone(), closed.clone())?;
        Ok(evidence(sources, recorded, integration.as_ref(), &account, &closed).await)
    };
    let evidence = evidence.boxed().shared();
    let left = async {
        tokio::try_join!(page.clone(), evidence.clone())?;
        match sign_out {
            Some(sessions) => sessions.end().await,
            None => Ok(()),
        }
    };
    let (version, own_user, application, (list, repositories), evidence, enforcing_groups, terms, ()) = tokio::try_join!(
        gitlab.version(),
        gitlab.own_user(),
        application,
        repositories,
        evidence.clone(),
        enforcing_groups,
        terms,
        left
    )?;
    let (integration, account, namespaces, closed) =
        tokio::try_join!(integration.clone(), account.clone(), namespaces.clone(), closed.clone())?;
    let (integration, memberships) = tokio::try_join!(
        as_it_is_now(*factory, integration, &list),
        in_full(*gitlab, desired, recorded, &account, &namespaces.resolved.paths),
    )?;
    let Namespaces { resolved, displaced } = namespaces;
    let mut projects: BTreeMap<_, _> = repositories.projects;
    for project in resolved.projects {
        projects.entry(project.id).or_insert(project);
    }
    let mut resolved = resolved.paths;
    resolved.extend(repositories.groups);
    Ok(Observed {
        gitlab: ObservedGitlab {
            version,
            own_user: own_user.id,
            supported_scopes: application.supported_scopes,
            applications: application.all,
            user: account.user,
            username_holder: account.username_holder,
            email_holder: account.email_holder,
            namespaces: resolved,
            displaced,
            memberships,
            enforcing_groups,
            accounts_are_external: account.are_external,
            terms,
            second_factor_key: kept(kept_key, recorded),
            roles: repositories.roles,
            paths: repositories.paths,
            projects,
            secret: application.secret,
            evidence,
            closed,
        },
        factory: ObservedFactory {
            source: factory.source(),
            integration,
            repositories: list,
        },
    })
}

fn kept(key: &LoadedSecret, recorded: &RecordedState) -> KeptKey {
    match key {
        LoadedSecret::NotConfigured => KeptKey::NotConfigured,
        LoadedSecret::Nothing => KeptKey::Nothing,
        LoadedSecret::Secret(key) => KeptKey::Kept {
            fingerprint: key.fingerprint(&recorded.lineage),
        },
    }
}

/// What the paths of declared memberships lead to.
#[derive(Debug, Clone, Default)]
struct Namespaces {
    resolved: ResolvedPaths,
    /// See [`ObservedGitlab::displaced`].
    displaced: BTreeMap<FullPath, Option<FullPath>>,
}

/// Reads it. What is recorded is known by its id: where the path leads elsewhere, it is asked where that is now.
async fn resolve_memberships(
    gitlab: &dyn GitlabRead,
    desired: &Desired,
    recorded: &RecordedState,
) -> Result<Namespaces> {
    let mut namespaces = Namespaces::default();
    let paths: BTreeSet<_> = desired.memberships.keys().cloned().collect();
    if paths.is_empty() {
        return Ok(namespaces);
    }
    namespaces.resolved = gitlab.resolve(&paths).await?;
    let strays = recorded.memberships.iter().filter_map(|(path, entry)| {
        let resolution = namespaces.resolved.paths.get(path)?;
        let stray = match resolution {
            Resolution::Found(source) => *source != entry.source,
            Resolution::NotFound => true,
            Resolution::Moved { .. } => false,
        };
        stray.then_some((path, entry.source, resolution.clone()))
    });
    let found = try_join_all(strays.map(async |(path, source, resolution)| {
        let now = gitlab.path_of(source).await?;
        Ok::<_, crate::http::Error>((path, source, resolution, now))
    }))
    .await?;
    for (path, source, resolution, now) in found {
        match (resolution, now) {
            (Resolution::NotFound, Some(to)) => {
                let moved = Resolution::Moved { source, to };
                namespaces.resolved.paths.insert(path.clone(), moved);
            }
            (Resolution::Found(_), now) => drop(namespaces.displaced.insert(path.clone(), now)),
            (Resolution::NotFound | Resolution::Moved { .. }, _) => {}
        }
    }
    Ok(namespaces)
}

/// Groups that will ask a second factor of the droid, which has none, once it is a member where it is not yet.
async fn enforcing_groups(
    gitlab: &dyn GitlabRead,
    account: &Account,
    namespaces: &BTreeMap<FullPath, Resolution>,
) -> Result<BTreeSet<FullPath>> {
    if account.user.as_ref().is_some_and(|user| user.two_factor) {
        return Ok(BTreeSet::new());
    }
    let is_member = |source: SourceKind| account.memberships.iter().any(|live| live.source == source);
    let joined: BTreeSet<FullPath> = namespaces
        .iter()
        .filter(|(_, resolution)| matches!(resolution, Resolution::Found(source) if !is_member(*source)))
        .map(|(path, _)| path.clone())
        .collect();
    if joined.is_empty() {
        return Ok(joined);
    }
    gitlab.enforcing_groups(&joined).await
}

/// The memberships in full, as far as it matters. The list shows no end, and leaves out Minimal Access; one that waits for
/// approval it may show as if it were there. So what is declared or recorded is asked for by itself where the list does
/// not have it, where it ends, and where it was waiting.
async fn in_full(
    gitlab: &dyn GitlabRead,
    desired: &Desired,
    recorded: &RecordedState,
    account: &Account,
    namespaces: &BTreeMap<FullPath, Resolution>,
) -> Result<Vec<ObservedMembership>> {
    let Some(user) = &account.user else {
        return Ok(Vec::new());
    };
    let mut live: BTreeMap<SourceKind, ObservedMembership> = account
        .memberships
        .iter()
        .map(|listed| (listed.source, *listed))
        .collect();
    let declared = desired
        .memberships
        .iter()
        .filter_map(|(path, fields)| match namespaces.get(path) {
            Some(Resolution::Found(source)) => Some((*source, fields.expires_at.is_some())),
            Some(Resolution::Moved { .. } | Resolution::NotFound) | None => None,
        });
    let remembered = recorded
        .memberships
        .values()
        .map(|entry| (entry.source, entry.fields.expires_at.is_some() || entry.awaits_approval));
    let asked: BTreeSet<SourceKind> = declared
        .chain(remembered)
        .filter(|(source, shows_too_little)| *shows_too_little || !live.contains_key(source))
        .map(|(source, _)| source)
        .collect();
    let found = asked.into_iter().map(async |source| {
        let found = gitlab.membership(source, user.id).await?;
        Ok::<_, crate::http::Error>((source, found))
    });
    for (source, found) in try_join_all(found).await? {
        match found {
            Some(Membership { fields, .. }) => drop(live.insert(source, ObservedMembership { source, fields })),
            None => drop(live.remove(&source)),
        }
    }
    Ok(live.into_values().collect())
}

type RepositoryList = Known<BTreeMap<crate::model::ProjectId, crate::model::FactoryRepository>>;

/// Factory's list. It is asked for at once where the record says that Factory was authorized, and else only if Factory
/// turns out to be connected: a list that cannot be had costs no request.
///
/// Factory asks GitLab for the list. Where it looks for GitLab at an address that is not the declared one it can fail at
/// that, and must not keep the address from being put right.
async fn list_repositories(
    factory: &dyn FactoryRead,
    desired: &Desired,
    recorded: &RecordedState,
    integration: impl Future<Output = Result<Option<ObservedIntegration>>> + Clone,
) -> Result<RepositoryList> {
    let attested = factory.source() == FactorySource::Attested;
    let expected = recorded.connection.is_some() && recorded.authorization.is_some();
    if !attested && !expected {
        let connected = integration
            .clone()
            .await?
            .is_some_and(|integration| integration.status == IntegrationStatus::Connected);
        if !connected {
            return Ok(Known::Unknown);
        }
    }
    let error = match factory.repositories().await {
        Ok(list) => return Ok(list),
        Err(error) => error,
    };
    let looks_elsewhere = integration
        .await?
        .is_some_and(|integration| integration.domain != desired.connection.domain);
    match error.kind {
        ErrorKind::Server(_) if looks_elsewhere => Ok(Known::Unknown),
        _ => Err(error),
    }
}

/// Factory may find out only while it lists repositories that its authorization no longer works (the droid is blocked,
/// say), and refuses the list; or that it works again, and gives it. What it said of itself before is outdated then, and
/// it is asked again.
async fn as_it_is_now(
    factory: &dyn FactoryRead,
    integration: Option<ObservedIntegration>,
    list: &RepositoryList,
) -> Result<Option<ObservedIntegration>> {
    let connected = integration
        .as_ref()
        .is_some_and(|integration| integration.status == IntegrationStatus::Connected);
    if connected == list.is_unknown() && factory.source() == FactorySource::Live {
        return factory.integration().await;
    }
    Ok(integration)
}

/// The droid's page of authorized applications, where there is an attestation to check. What cannot be read is no
/// evidence, neither for nor against.
async fn evidence(
    sources: &Sources<'_>,
    recorded: &RecordedState,
    integration: Option<&ObservedIntegration>,
    account: &Account,
    closed: &ClosedDoors,
) -> Known<Evidence> {
    let attested = sources.factory.source() == FactorySource::Attested
        && integration.is_some_and(|integration| integration.status == IntegrationStatus::Connected);
    // Which key gets in is not known then, and wrong codes lock the account.
    let attested = attested && !recorded.second_factor_is_begun();
    match (sources.droid, &account.user) {
        // Whichever way the droid is had, it goes through one of the doors.
        (Some(droid), Some(user)) if attested && user.can_be_visited() && *closed == ClosedDoors::default() => {
            droid.evidence(&user.fields.username).await.ok().into()
        }
        _ => Known::Unknown,
    }
}
