/* A CA certificate for clients that are created but never need to trust a server: its P-256 key was
   deleted. */
#ifndef CA_H
#define CA_H

#define CA_PEM \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBczCCARugAwIBAgIUemVNiKSu2JQmSEUVPX/aI9yEl+owCgYIKoZIzj0EAwIw\n" \
    "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQyMzE2MDhaGA8yMTI2MTAzMTIzMTYw\n" \
    "OFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLRJ\n" \
    "HTw6NCO8g9oc91e44csIwIw0SWCvZOl6AvfrUBQInohGg7gCJzJpaBlUSDKefAgx\n" \
    "Q3MFDYcd87jVzZC5ZMqjUzBRMB0GA1UdDgQWBBSiTy+jB0oNFGAvQijpgSPl5G1U\n" \
    "zTAfBgNVHSMEGDAWgBSiTy+jB0oNFGAvQijpgSPl5G1UzTAPBgNVHRMBAf8EBTAD\n" \
    "AQH/MAoGCCqGSM49BAMCA0YAMEMCIBP5+fL99PO3MHtvdKPNx3YiiVJ76+bwLSty\n" \
    "1yhOwwCKAh8jE6hosKME2vuKamhRJ8SIwHCg8TwfIjm4gSJB4i4v\n" \
    "-----END CERTIFICATE-----\n"

#endif
