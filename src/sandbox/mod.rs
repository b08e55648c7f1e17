//! The embedded GitLab and Factory. It imports nothing of the product, so that it cannot agree with its mistakes.
