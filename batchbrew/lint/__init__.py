"""What users get wrong in networks and solvers, found before Caffe meets it."""
