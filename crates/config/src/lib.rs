//! The configuration of gost as data: schema, file formats, command line, output
