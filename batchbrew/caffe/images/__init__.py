"""Behind caffe.io: photographs and arrays, between files, messages and what a net takes."""
