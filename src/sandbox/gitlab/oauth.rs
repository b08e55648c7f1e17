//! GitLab's oauth.

use axum::Router;

use crate::sandbox::state::App;

/// The routes of this module.
pub(crate) fn router() -> Router<App> {
    Router::new()
}
