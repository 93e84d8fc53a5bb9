//! What a browser is shown: so far one page, where the links of notices lead.

pub(crate) mod request;
