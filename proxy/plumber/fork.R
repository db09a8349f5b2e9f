# What a file did while it was loaded that forks cannot share.

# put_plan_aside ends the R processes of a future plan such as multisession, whose
# sockets forks would share, and returns a function that sets the plan again.
put_plan_aside <- function() {
  if (!isNamespaceLoaded("future")) {
    return(NULL)
  }
  plan <- future::plan("list")
  if (!any(vapply(plan, inherits, NA, "cluster"))) {
    return(NULL)
  }
  future::plan("sequential")
  function() future::plan(plan, .init = FALSE, .cleanup = FALSE)
}

# unsafe_to_fork says why forks of this process cannot work, in words for who
# wrote the file; "" where nothing is known.
unsafe_to_fork <- function(...) {
  if (length(httpuv::listServers())) {
    return("the file starts an httpuv server while it is loaded")
  }
  for (envir in unique(list(...))) {
    values <- values_of(envir)
    connected <- vapply(values, function(x) {
      inherits(x, "DBIConnection") || inherits(x, "Pool") && inherits(x, "R6")
    }, NA)
    if (any(connected)) {
      return(paste0(
        names(values)[connected][1L],
        " is a database connection made while the file is loaded, which forks would share"
      ))
    }
  }
  classes <- showConnections()[, "class"]
  shared <- classes[classes %in% c("sockconn", "servsockconn", "pipe", "url", "url-libcurl")]
  if (length(shared)) {
    return(paste0(
      "the file opens a connection (", shared[1L], ") while it is loaded, which forks would share"
    ))
  }
  ""
}
