//! The page that asks for the second factor, at sign-in and before Admin Mode.
//!
//! GitLab: `devise/sessions/two_factor`, `concerns/authenticates_with_two_factor.rb`. Up to 19.3 it holds a form; later
//! a Vue application that is told by its data where to post the code.

use axum::http::StatusCode;

use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_totp;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};
use crate::world::{User, World, digest};

/// Where a code is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    SignIn,
    AdminMode,
}

impl Door {
    fn path(self) -> &'static str {
        match self {
            Self::SignIn => "/users/sign_in",
            Self::AdminMode => "/admin/session",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::SignIn => "Two-factor authentication",
            Self::AdminMode => "Two-factor authentication for admin mode",
        }
    }
}

/// Takes a code of the authenticator, or a recovery code, each of which works once.
pub(super) fn takes(world: &mut World, user_id: u64, code: &str) -> bool {
    let recovery = digest(code.trim());
    pages_totp::consume(world, user_id, code)
        || world
            .user_mut(user_id)
            .is_some_and(|user| user.recovery_digests.remove(&recovery))
}

/// The page, asked for the first time.
pub(super) fn ask(visit: &mut Visit<'_>, door: Door, user: &User) -> Page {
    render(visit, door, user, None)
}

/// The page after a wrong code.
pub(super) fn refuse(visit: &mut Visit<'_>, door: Door, user: &User) -> Page {
    render(visit, door, user, Some("Invalid two-factor code."))
}

fn render(visit: &mut Visit<'_>, door: Door, user: &User, alert: Option<&str>) -> Page {
    let shape = visit.world.switches.shape(PageKind::SecondFactor);
    if shape == Generation::Unknown {
        return visit.unheard_page();
    }
    let refused = if shape >= Generation::V19_3 {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    let status = alert.map_or(StatusCode::OK, |_| refused);
    let path = visit.path(door.path());
    let remember = if visit.request.param("user[remember_me]") == Some("1") {
        "1"
    } else {
        "0"
    };
    if shape >= Generation::V19_5 {
        let content = format!(
            "<div id=\"js-2fa\" data-path=\"{path}\" data-admin-mode=\"{admin}\" data-remember-me=\"{remember}\" \
             data-remember-me-enabled=\"{enabled}\" data-totp-enabled=\"{totp}\" data-webauthn-enabled=\"{key}\" \
             data-email-enabled=\"false\"></div>\n<script>{MOUNT_CODE}</script>",
            path = escape(&path),
            admin = door == Door::AdminMode,
            enabled = door == Door::SignIn,
            totp = user.totp_secret.is_some(),
            key = user.security_key,
        );
        return visit.page(status, "", alert, &content);
    }
    let token = visit.csrf();
    let mut content = format!("<h1>{}</h1>\n", door.title());
    if user.totp_secret.is_some() {
        let mut form = Form::open("two_factor", &path, "post", &token);
        if door == Door::SignIn {
            form = form.hidden("user[remember_me]", Some(remember));
        }
        content.push_str(
            &form
                .input("text", "user[otp_attempt]", "Enter verification code", "")
                .submit("Verify code"),
        );
    }
    if user.security_key {
        content.push_str("<div id=\"js-authenticate-token-2fa\">Use your security key.</div>");
    }
    visit.page(status, door.title(), alert, &content)
}

/// What GitLab's component draws and sends.
const MOUNT_CODE: &str = "(function(){var e=document.getElementById('js-2fa');if(e.dataset.totpEnabled!=='true')return;\
var f=document.createElement('form');f.method='post';f.action=e.dataset.path;\
function h(n,v,t){var i=document.createElement('input');i.type=t||'hidden';i.name=n;i.value=v;f.appendChild(i)}\
h('authenticity_token',document.querySelector('meta[name=csrf-token]').content);h('user[remember_me]',e.dataset.rememberMe);\
h('two_factor_method','totp');h('user[otp_attempt]','','text');var b=document.createElement('button');\
b.textContent='Verify code';f.appendChild(b);e.appendChild(f)})();";
