"""The networks of PITI, HED, the perceptual loss and the estimators, and what reads published weights into them."""
