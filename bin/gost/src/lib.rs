//! A tunnel and proxy toolkit
