//! The mtcp channel: many streams over one TCP connection.
