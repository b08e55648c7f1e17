//! Factory: the contract's API, the redirect URI, the settings page.

use axum::Router;

use super::state::App;

/// All of Factory; API and app share one server.
pub(crate) fn router() -> Router<App> {
    Router::new()
}
