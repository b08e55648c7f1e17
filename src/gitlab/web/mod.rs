//! GitLab's web side, for what its API cannot do: signing in by form, the admin pages of applications, impersonation,
//! and the pages of OAuth. Sessions are held at `gitlab.url`; nothing follows a redirect to anywhere else.

mod account;
mod admin;
mod application_form;
mod droid;
mod forms;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod oauth;
mod pages;
mod second_factor;
mod session;
mod sign_in;
mod terms;
mod totp;

pub use admin::AdminSession;
pub use droid::{Droid, DroidSignIn};
#[cfg(any(test, fuzzing))]
pub(crate) use fuzz::fuzz_pages;
pub use oauth::authorize_url_for_a_person;
pub use second_factor::{Authenticator, Keeper, NotEnrolled};
pub use session::WebOptions;
pub use sign_in::Account;
pub use totp::{Clock, SystemClock, Totp, TotpError};
