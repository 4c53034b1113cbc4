"""Do both engines compute the same? Random layers and nets, run in real Caffe and in ours, compared."""
