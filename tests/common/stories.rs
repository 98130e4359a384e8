//! The frame of a suite that has a table of clients (`client::CLIENTS`) and stories that each goes through
//! (`story::run`).

/// One test for each client, so that a failure names it, and the look-up of a client by its test's name.
macro_rules! stories {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                $crate::story::run($crate::named(stringify!($name)));
            }
        )+

        #[test]
        fn every_client_of_the_table_has_a_test() {
            let names: Vec<&str> = $crate::client::CLIENTS.iter().map(|client| client.name).collect();
            assert_eq!(names, [$(stringify!($name)),+]);
        }

        /// The client of a test.
        pub(crate) fn named(name: &str) -> &'static $crate::client::Client {
            let mut clients = $crate::client::CLIENTS.iter();
            let client = clients.find(|client| client.name == name);
            client.expect("a client of the table")
        }
    };
}

pub(crate) use stories;
