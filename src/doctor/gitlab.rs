//! GitLab's side: the way there, the instance, Setpoint's token and the administrator it belongs to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;

use super::side::{Answers, GitlabSide};
use super::{Check, instance, permissions, reachable, sign_in, way};
use crate::gitlab::{Instance, OwnToken, Probe};
use crate::http::{Error, ErrorKind, Result};
use crate::model::{FullPath, ObservedUser};
use crate::urls;

/// A one-time code is good for as long: a clock that is further off gives wrong ones.
const CLOCK_SKEW_SECONDS: u64 = 30;
/// How long before its last day a token is warned about.
const EXPIRY_WARNING_DAYS: i32 = 14;

impl GitlabSide<'_> {
    /// All checks of this side.
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = match self.inspect.probe().await {
            Ok(probe) => self.answered(&probe).await,
            Err(error) => self.unreached(&error).await,
        };
        checks.push(instance::external_url(self).await);
        checks.extend(reachable::check(self).await);
        checks
    }

    async fn answered(&self, probe: &Probe) -> Vec<Check> {
        let mut checks = self.reached(probe);
        checks.extend(way::check("gitlab", self.client, (self.clock)()).await);
        let stops = match &probe.instance {
            Ok(instance) => {
                checks.push(version(instance));
                None
            }
            Err(error) if error.kind == ErrorKind::Unauthorized && self.has_token => {
                checks.push(Check::failed("gitlab.token", error));
                Some("GitLab does not accept the token")
            }
            Err(error) if error.kind == ErrorKind::Unauthorized => Some("there is no usable `gitlab.token`"),
            // A token without the scope for this question can still be asked about itself.
            Err(error) if error.kind == ErrorKind::Forbidden => None,
            Err(error) => {
                checks[0] = Check::failed("gitlab.reachable", error);
                // One answer that is wrong says nothing of the others.
                let other = self.read.own_user().await;
                other.err().map(|_| "what answers is no GitLab that can be used")
            }
        };
        if let Some(why) = stops {
            checks.push(further(why));
        } else {
            let answers = self.ask().await;
            checks.extend(token(&answers, self.config.desired.user.second_factor, self.today()));
            checks.extend(administrator(&answers));
            checks.extend(instance::check(self.config, &answers, self.today()));
            checks.extend(sign_in::check(self, &answers).await);
        }
        checks
    }

    async fn unreached(&self, error: &Error) -> Vec<Check> {
        let mut checks = match error.kind {
            ErrorKind::Tls => vec![
                Check::ok("gitlab.reachable", "A server takes connections at gitlab.url"),
                Check::failed("gitlab.tls", error),
            ],
            _ => vec![Check::failed("gitlab.reachable", error)],
        };
        checks.extend(way::check("gitlab", self.client, (self.clock)()).await);
        checks.push(further("GitLab was not reached"));
        checks
    }

    fn reached(&self, probe: &Probe) -> Vec<Check> {
        let url = self.url;
        let tls = match (url.scheme(), self.ca_file) {
            ("http", _) => "The connection is not encrypted, and does not leave this machine".to_owned(),
            (_, Some(file)) => format!("The TLS certificate is accepted, with ca_file {}", file.display()),
            (_, None) => "The TLS certificate is accepted".to_owned(),
        };
        let place = urls::bare(url);
        let mut checks = vec![
            Check::ok("gitlab.reachable", format!("GitLab answers at {place}")),
            Check::ok("gitlab.tls", tls),
        ];
        checks.extend(probe.date.map(|date| self.clock_skew(date)));
        checks
    }

    fn clock_skew(&self, date: Timestamp) -> Check {
        const ID: &str = "gitlab.clock";
        let seconds = (self.clock)().as_second().abs_diff(date.as_second());
        if seconds < CLOCK_SKEW_SECONDS {
            return Check::ok(ID, "The clocks of GitLab and of this machine agree");
        }
        let message = format!("The clocks of GitLab and of this machine differ by {seconds} seconds");
        let fix = "synchronize both by NTP; one-time codes of two-factor authentication depend on the time";
        let admin = self.config.gitlab.admin_session.as_ref();
        let droid = &self.config.droid;
        let has_codes = droid.totp_secret.is_some()
            || droid.totp.is_some()
            || admin.is_some_and(|admin| admin.totp_secret().is_some());
        if has_codes {
            Check::failure(ID, message, fix)
        } else {
            Check::warning(ID, message, fix)
        }
    }

    fn today(&self) -> Date {
        (self.clock)().to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    async fn ask(&self) -> Answers {
        let memberships: BTreeSet<FullPath> = self.config.desired.memberships.keys().cloned().collect();
        let (token, own_user, settings, scopes, droid, groups) = tokio::join!(
            self.inspect.own_token(),
            self.read.own_user(),
            self.inspect.settings(),
            self.read.supported_scopes(),
            self.droid_account(),
            self.inspect.group_rules(&memberships),
        );
        Answers {
            token,
            own_user,
            settings,
            scopes,
            droid,
            groups,
        }
    }

    async fn droid_account(&self) -> Result<Option<ObservedUser>> {
        let desired = &self.config.desired.user;
        let previously = desired.previously.iter().map(String::as_str);
        for username in std::iter::once(&*desired.fields.username).chain(previously) {
            if let Some(user) = self.read.user(username).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }
}

fn further(why: &str) -> Check {
    Check::skipped(
        "gitlab.further",
        format!("Token, settings and accounts were not looked at: {why}"),
    )
}

fn version(instance: &Instance) -> Check {
    const ID: &str = "gitlab.version";
    let edition = match instance.enterprise {
        Some(true) => ", Enterprise Edition",
        Some(false) => ", Community Edition",
        None => "",
    };
    let shown = format!("{}{edition}", instance.version);
    if instance.is_new_enough {
        return Check::ok(ID, format!("GitLab is {shown}"));
    }
    Check::failure(
        ID,
        format!("GitLab is {shown}; Setpoint needs 16.11 or newer"),
        "upgrade GitLab: older versions cannot renew an application's secret",
    )
}

fn token(answers: &Answers, second_factor: bool, today: Date) -> Vec<Check> {
    let token = match &answers.token {
        Ok(Some(token)) => token,
        Ok(None) => {
            return vec![Check::warning(
                "gitlab.token_scopes",
                "gitlab.token is no personal access token, so its scopes and its last day cannot be asked",
                "use a personal access token of an administrator, with the scope api",
            )];
        }
        Err(error) => return vec![Check::failed("gitlab.token", error)],
    };
    vec![permissions::check(token, second_factor), expiry(token, today)]
}

fn expiry(token: &OwnToken, today: Date) -> Check {
    const ID: &str = "gitlab.token_expiry";
    let Some(last) = token.expires_at else {
        return Check::ok(ID, "The token does not expire");
    };
    let days = today.until(last).map_or(i32::MAX, |span| span.get_days());
    if days > EXPIRY_WARNING_DAYS {
        return Check::ok(ID, format!("The token expires on {last}, in {days} days"));
    }
    let when = match days {
        ..=0 => "today or earlier".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    };
    Check::warning(
        ID,
        format!("The token expires on {last}, {when}"),
        "rotate it in GitLab (User settings > Access tokens), and store the new one where gitlab.token is read from",
    )
}

/// GitLab shows `is_admin` whatever the token may do; whether Admin Mode lets it through shows at the settings.
fn administrator(answers: &Answers) -> Vec<Check> {
    let own = match &answers.own_user {
        Ok(own) => own,
        Err(error) => return vec![Check::failed("gitlab.administrator", error)],
    };
    if !own.is_admin {
        return vec![Check::failure(
            "gitlab.administrator",
            format!("The token belongs to {}, who is no administrator", own.username),
            "give gitlab.token an administrator's token; only administrators may manage applications and users",
        )];
    }
    let mut checks = vec![Check::ok(
        "gitlab.administrator",
        format!("The token belongs to {}, an administrator", own.username),
    )];
    // A fine-grained token passes Admin Mode.
    let has_scope = matches!(&answers.token, Ok(Some(token)) if token.granular || token.scopes.contains("admin_mode"));
    checks.push(match &answers.settings {
        Ok(settings) if !settings.admin_mode => Check::ok("gitlab.admin_mode", "Admin Mode is off"),
        Ok(_) => Check::ok("gitlab.admin_mode", "Admin Mode is on, and the token may do without it"),
        Err(error) if error.kind == ErrorKind::Forbidden && !has_scope => Check::failure(
            "gitlab.admin_mode",
            format!(
                "GitLab refuses {} an administrator's question: Admin Mode is on, and the token lacks the scope admin_mode",
                own.username
            ),
            "make a token with the scopes api and admin_mode (User settings > Access tokens)",
        ),
        Err(error) => Check::failed("gitlab.admin_mode", error),
    });
    checks
}
