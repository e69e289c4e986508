/* Names of SOAP 1.1 and 1.2. */
#ifndef CCTGATE_CONTRACT_SOAP_H
#define CCTGATE_CONTRACT_SOAP_H

#define SOAP11_NAMESPACE "http://schemas.xmlsoap.org/soap/envelope/"
#define SOAP12_NAMESPACE "http://www.w3.org/2003/05/soap-envelope"

#endif
