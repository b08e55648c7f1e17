//! Each way of showing a plan or a report, as a function of that value.
