if (!is.null(shared$con)) rp_stop(shared$con)
